"""Programs that attack, the ground they attack, and what sees from outside whether they succeeded."""

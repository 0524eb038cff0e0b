"""The weights an agent may use: those of the weights folder, and those the user named a file for."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from spatial_agent.services.model_store import ModelStore
from spatial_agent.services.weights_origin import sha256_of
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import MissingWeightsError


class WeightsHere:
    """Finds weights on this machine.

    Args:
        store: The weights folder.
        given: Files or folders that stand for weights, by their name.
    """

    def __init__(self, store: ModelStore, given: Mapping[str, Path] | None = None) -> None:
        """Look at nothing yet."""
        self._store = store
        self._given = dict(given or {})

    def locate(self, weights: Weights) -> Path:
        """Return where weights are.

        Raises:
            MissingWeightsError: If they are not here; says how to get them.
        """
        return self._given.get(weights.name) or self._store.locate(weights)

    def has(self, weights: Weights) -> bool:
        """Return whether weights are here."""
        try:
            self.locate(weights)
        except MissingWeightsError:
            return False
        return True

    def digest(self, weights: Weights) -> str:
        """Return the identity of weights: equal for equal files."""
        given = self._given.get(weights.name)
        if given is None:
            return self._store.digest(weights)
        files = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
        return hashlib.sha256("\n".join(sha256_of(path, path.name) for path in files).encode()).hexdigest()

import { button, el } from "./dom";

/** Ask for an API key in a dialog; resolves to null where it is closed without one. */
export function askKey(why: string): Promise<string | null> {
  const input = el("input", {
    id: "api-key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    placeholder: "sa_…",
  });
  const form = el(
    "form",
    { method: "dialog", class: "dialog-body" },
    el("h2", { id: "key-title" }, "API key"),
    el("p", {}, why || "This service asks for a key. It is kept in this tab only."),
    el("label", { for: "api-key" }, "Key"),
    input,
  );
  const dialog = el("dialog", { "aria-labelledby": "key-title" }, form);
  form.append(
    el(
      "div",
      { class: "row row-end" },
      button("Cancel", () => dialog.close()),
      el("button", { type: "submit", class: "button button-main" }, "Use this key"),
    ),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    let given: string | null = null;
    form.addEventListener("submit", () => (given = input.value.trim() || null));
    dialog.addEventListener("close", () => (dialog.remove(), resolve(given)));
    dialog.showModal();
  });
}

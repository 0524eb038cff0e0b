// Numbers as people read them: with a unit, and as many digits as the margin warrants.

const UNITS: Record<string, string> = { m2: "m²", cm2: "cm²", ft2: "ft²", deg: "°", count: "", share: "" };
const MOST_DECIMALS = 3;

export interface Quantity {
  value: unknown;
  unit: string | null;
  margin: number | null;
  low: number | null;
  high: number | null;
}

/** Return a number with its unit: "3.01 m"; text, lists and truth values as words. */
export function valueText(quantity: Quantity): string {
  const { value, unit } = quantity;
  if (typeof value === "number") return withUnit(rounded(value, decimalsOf(quantity)), unit);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map((item) => plain(item)).join(", ");
  return value === null || value === undefined ? "–" : plain(value);
}

/** Return the margin with its unit, "± 0.08 m", or an empty string. */
export function marginText(quantity: Quantity): string {
  if (quantity.margin === null || typeof quantity.value !== "number") return "";
  return `± ${withUnit(rounded(quantity.margin, decimalsOf(quantity)), quantity.unit)}`;
}

/** Return the 90 % interval with its unit, or an empty string. */
export function intervalText(quantity: Quantity): string {
  const { low, high, unit } = quantity;
  if (low === null && high === null) return "";
  const decimals = decimalsOf(quantity);
  if (low === null) return `up to ${withUnit(rounded(high ?? 0, decimals), unit)}`;
  if (high === null) return `at least ${withUnit(rounded(low, decimals), unit)}`;
  return `${rounded(low, decimals)} to ${withUnit(rounded(high, decimals), unit)}`;
}

export function bytesText(bytes: number): string {
  const steps = ["bytes", "kB", "MB", "GB"];
  let size = bytes;
  let step = 0;
  while (size >= 1000 && step < steps.length - 1) {
    size /= 1000;
    step += 1;
  }
  return `${size.toFixed(step > 1 && size < 10 ? 1 : 0)} ${steps[step]}`;
}

export function secondsText(seconds: number): string {
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}

/** Return "1 frame", "24 frames". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function withUnit(text: string, unit: string | null): string {
  const shown = unit === null ? "" : (UNITS[unit] ?? unit);
  return shown === "" ? text : shown === "°" ? `${text}°` : `${text} ${shown}`;
}

function decimalsOf({ value, unit, margin }: Quantity): number {
  if (margin !== null && margin > 0) {
    return Math.min(MOST_DECIMALS, Math.max(0, -Math.floor(Math.log10(margin))));
  }
  if (unit === "count" || (typeof value === "number" && Number.isInteger(value))) return 0;
  return 2;
}

function rounded(value: number, decimals: number): string {
  return value.toFixed(decimals).replace("-", "−");
}

function plain(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

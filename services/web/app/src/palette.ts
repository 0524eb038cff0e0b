// The colours of the service's own pictures, so that an object looks the same wherever it is shown.

/** What was measured. */
export const MEASURED = "#d62828";
/** Who looks, where a question says so. */
export const OBSERVER = "#185abc";
/** Okabe and Ito's: told apart by people with any colour vision. */
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#aaa01e", "#785ef0"];
/** Steps of this share of the circle of hues never come near each other soon. */
const GOLDEN_SHARE = 0.618034;

/** Return the colour of the object at that position in its scene. */
export function objectColour(position: number): string {
  return PALETTE[position] ?? fromHsv((position * GOLDEN_SHARE) % 1, 0.75, 0.8);
}

function fromHsv(hue: number, saturation: number, value: number): string {
  const channel = (offset: number): string => {
    const place = (offset + hue * 6) % 6;
    const part = value - value * saturation * Math.max(0, Math.min(place, 4 - place, 1));
    return Math.round(part * 255)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${channel(5)}${channel(3)}${channel(1)}`;
}

// Questions that fit a scene, made of what is in it.

import type { ObjectView, SceneView } from "./wire";

/** What rooms are measured from and to; small things make dull examples. */
const LARGE = /sofa|couch|tv|television|table|desk|bed|fridge|refrigerator|bookshelf|shelf|cabinet|door|window|armchair|sink|stove|toilet/;

/** Return up to five questions about a scene. */
export function suggestions(scene: SceneView): string[] {
  const [first, second, third, fourth] = farFirst(singleObjects(scene));
  const made: (string | false | undefined)[] = [
    first && second && `How far is the ${first.label} from the ${second.label}?`,
    first && second && third && `If I stand by the ${first.label} facing the ${second.label}, is the ${third.label} to my left or right?`,
    countQuestion(scene),
    scene.room?.area_m2 != null && "How big is this room?",
    (fourth ?? first) && `How tall is the ${(fourth ?? first)?.label}?`,
  ];
  return made.filter((question): question is string => typeof question === "string");
}

/** Return the objects that their label alone tells from all others, the large ones first. */
function singleObjects(scene: SceneView): ObjectView[] {
  // "table" would fit a coffee table too; a question must fit one thing only.
  const fits = (name: string): number => scene.objects.filter(({ label }) => label.split(" ").includes(name)).length;
  const single = scene.objects.filter(({ label }) => fits(lastWord(label)) === 1);
  return single.sort((a, b) => Number(LARGE.test(b.label)) - Number(LARGE.test(a.label)));
}

/** Put the object that is farthest from the first in second place: neighbours make dull examples. */
function farFirst([first, ...others]: ObjectView[]): ObjectView[] {
  if (first === undefined) return [];
  const away = (item: ObjectView): number => Math.hypot(...item.centre_m.map((part, axis) => part - (first.centre_m[axis] ?? 0)));
  const large = others.filter(({ label }) => LARGE.test(label));
  const second = [...(large.length > 0 ? large : others)].sort((a, b) => away(b) - away(a))[0];
  return second === undefined ? [first] : [first, second, ...others.filter((item) => item !== second)];
}

function countQuestion(scene: SceneView): string | undefined {
  const counts = new Map<string, number>();
  for (const { label } of scene.objects) counts.set(label, (counts.get(label) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most && most[1] > 1 ? `How many ${plural(most[0])} are in this room?` : undefined;
}

function lastWord(label: string): string {
  return label.slice(label.lastIndexOf(" ") + 1);
}

function plural(label: string): string {
  if (/(s|x|ch|sh)$/.test(label)) return `${label}es`;
  if (/shelf$/.test(label)) return label.replace(/f$/, "ves");
  return /[^aeiou]y$/.test(label) ? `${label.slice(0, -1)}ies` : `${label}s`;
}

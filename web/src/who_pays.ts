// Who pays: the part of report.json that `vernier groups` makes, and what may be said about it.

import { isNumber, number } from "./format";
import type { Num } from "./data";

export interface WhoPays {
  entries: Entry[]; // by model, then by unit
}

/** One quantized model, its loss in one unit. */
export interface Entry {
  label: string; // its scheme, or its name
  unit: string; // what a loss is per: image, token, byte, document, question, sentence pair
  reference: string;
  data: { name: string; hash: string; examples: Num };
  confidence: Num;
  tolerance: Record<string, Num>;
  min_clusters: Num;
  all: PaidGroup;
  attributes: Attribute[];
  chains: { attribute: string; chain: Chain }[]; // none: the reference stands for itself
}

export interface Attribute {
  name: string;
  groups: PaidGroup[];
  gaps: Record<string, { spread: Judged; null_95: Num; null_p: Num; most_damaged: string }>;
}

export interface PaidGroup {
  name: string;
  examples: Num;
  clusters: Num; // what is independent of each other
  weight: Num;
  figures: Record<string, GroupFigure>;
}

export interface GroupFigure {
  reference: Num;
  model: Num;
  change: Judged;
  skew: Judged; // by how much the change exceeds that of all others; intervals hold for all groups at once
  null: [Num, Num]; // changes of random groups of this size
  null_p: Num;
}

export type Verdict = "within" | "exceeds" | "undecided";
export interface Judged {
  value: Num;
  interval: [Num, Num];
  verdict: Verdict;
}

export type ClaimVerdict = "confirmed" | "refuted" | "undecided";
export interface Chain {
  verdict: ClaimVerdict;
  steps: { key: string; claim: string; groups: Num; value: Num; interval: [Num, Num]; p: Num; verdict: ClaimVerdict }[];
}

/** The figure that a group pays in, and how it is written: shares as points, losses in nats. */
export interface Currency {
  key: string;
  title: string;
  unit: string;
  scale: number;
}

export function currency(entry: Entry): Currency {
  if (entry.all.figures["stereotype_share"])
    return { key: "stereotype_share", title: "Change in stereotyping preferred", unit: "points", scale: 100 };
  return { key: "loss_nats", title: "Excess loss", unit: `nats per ${entry.unit}`, scale: 1 };
}

/** "accuracy" where examples are right or wrong as a whole; of text the loss itself tells more than the share of tokens. */
export function shownFigure(entry: Entry): { key: string; title: string; scale: number } {
  const wholes = !["token", "byte", "document"].includes(entry.unit);
  const key = entry.all.figures["stereotype_share"] ? "stereotype_share" : "accuracy";
  if (wholes && entry.all.figures[key])
    return { key, title: key === "accuracy" ? "Accuracy, %" : "Stereotyping preferred, %", scale: 100 };
  return { key: "loss_nats", title: `Loss, nats per ${entry.unit}`, scale: 1 };
}

/** What was measured on the same data, its units one after the other. */
export interface DataSet {
  name: string;
  examples: Num;
  entries: Entry[];
  first: Entry[]; // those of its first unit and attribute, by model: what is shown before anything is opened
}

/** Texts and questions have groups of their own: each is judged by itself. A model without a reference pays nothing. */
export function dataSets(data: WhoPays | null | undefined): DataSet[] {
  const sets: DataSet[] = [];
  for (const entry of data?.entries ?? []) {
    if (entry.chains.length === 0 || entry.attributes.length === 0) continue;
    const { name, hash, examples } = entry.data;
    let set = sets.find((other) => other.entries[0]!.data.hash === hash && other.name === name);
    if (!set) sets.push((set = { name, examples, entries: [], first: [] }));
    set.entries.push(entry);
    if (entry.unit === set.entries[0]!.unit) set.first.push(entry);
  }
  return sets;
}

const signed = (value: number) => `${value > 0 ? "+" : ""}${number(value)}`;
const span = ([low, high]: [Num, Num], scale: number) =>
  isNumber(low) && isNumber(high) ? ` (${signed(scale * low)} to ${signed(scale * high)})` : "";

export function listed(names: string[]): string {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

/** " of skin", " of class"; nothing where data have no name for it but "group". */
export const ofAttribute = (name: string) => (name === "group" ? "" : ` of ${name}`);

/** Of one model and attribute, only what its intervals allow; of whom nothing can be told only where there is room for it. */
export function claims(entry: Entry, attribute: Attribute, whole = true): string[] {
  const { key, unit, scale } = currency(entry);
  const said: string[] = [];
  const overall = entry.all.figures[key]?.change;
  if (overall && isNumber(overall.value)) {
    const [low, high] = overall.interval;
    const sure = isNumber(low) && isNumber(high) && (low > 0 || high < 0);
    const what = `${signed(scale * overall.value)} ${unit}${span(overall.interval, scale)}`;
    said.push(sure ? `Over everything the change is ${what}.` : `Over everything no change is sure: ${what}.`);
  }
  const paying = attribute.groups.filter((group) => group.figures[key]?.skew.verdict === "exceeds");
  const undecided = attribute.groups.filter((group) => group.figures[key]?.skew.verdict === "undecided");
  const skew = (group: PaidGroup) => group.figures[key]!.skew;
  const size = (group: PaidGroup) => Math.abs(skew(group).value ?? 0);
  const excess = (group: PaidGroup) =>
    `${group.name} by ${signed(scale * (skew(group).value ?? 0))}${span(skew(group).interval, scale)}`;
  if (paying.length > 0)
    said.push(
      `Beyond the tolerance, and beyond what random groups do, the change exceeds that of all others for ${listed(
        [...paying].sort((a, b) => size(b) - size(a)).map(excess),
      )}.`,
    );
  if (paying.length === 0 && undecided.length === 0 && attribute.groups.length > 0)
    said.push(`No group${ofAttribute(attribute.name)} pays more than the others by more than is tolerated.`);
  if (whole && undecided.length > 0)
    said.push(
      undecided.length > 6
        ? `Whether ${undecided.length} groups pay more, these data cannot tell.`
        : `Whether ${listed(undecided.map((group) => group.name))} pay more than the others, these data cannot tell.`,
    );
  const gap = attribute.gaps[key];
  if (gap && isNumber(gap.spread.value)) {
    const distance = `${number(scale * gap.spread.value)} ${unit}${span(gap.spread.interval, scale).replaceAll("+", "")}`;
    if (gap.spread.verdict === "exceeds")
      said.push(
        `Groups are hurt unequally: the most and the least changed are ${distance} apart` +
          (paying.some((group) => group.name === gap.most_damaged)
            ? `, ${gap.most_damaged} at the worse end.`
            : "; which of them is at the worse end, these data cannot tell."),
      );
    else if (gap.spread.verdict === "within")
      said.push(`All groups change alike within the tolerance: at most ${distance} apart.`);
    else
      said.push(
        `Whether groups are hurt unequally is not decided: the most and the least changed are ${distance} apart; random groups reach ${number(scale * (gap.null_95 ?? NaN))}.`,
      );
  }
  return said;
}

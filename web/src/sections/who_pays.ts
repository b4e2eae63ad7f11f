// Who pays: the change of each group with its interval, beside what random groups of its size do.

import * as Plot from "@observablehq/plot";
import { figure, plotStyle, tipStyle, type Frame } from "../chart";
import type { Report } from "../data";
import { disclosure, el, p, section, strong, type Child } from "../dom";
import { count, fixed, isNumber, number, tick } from "../format";
import { table } from "../table";
import {
  claims,
  currency,
  dataSets,
  listed,
  shownFigure,
  type Attribute,
  type DataSet,
  type Entry,
  type PaidGroup,
  type Verdict,
} from "../who_pays";

const LOOK: Record<Verdict, { colour: string; symbol: "diamond2" | "circle" | "square"; says: string }> = {
  exceeds: { colour: "var(--plan)", symbol: "diamond2", says: "pays more than the others" },
  undecided: { colour: "var(--reference)", symbol: "circle", says: "cannot be told" },
  within: { colour: "var(--uniform)", symbol: "square", says: "pays no more than the others, within the tolerance" },
};

/** A verdict of a later version says nothing here. */
const lookOf = (verdict: Verdict) => LOOK[verdict] ?? LOOK.undecided;

const attributeOf = (entry: Entry, name: string) => entry.attributes.find((a) => a.name === name);

/** Groups from the most to the least changed by the model that changes most. */
function order(entries: Entry[], name: string): string[] {
  const worst = [...entries].sort((a, b) => spreadOf(b, name) - spreadOf(a, name))[0]!;
  const key = currency(worst).key;
  const groups = attributeOf(worst, name)?.groups ?? [];
  const change = (group: PaidGroup) => group.figures[key]?.change.value ?? -Infinity;
  return [...groups].sort((a, b) => change(b) - change(a)).map((group) => group.name);
}
const spreadOf = (entry: Entry, name: string) =>
  attributeOf(entry, name)?.gaps[currency(entry).key]?.spread.value ?? -Infinity;

function panel(entry: Entry, attribute: Attribute, names: string[]): HTMLElement {
  const { key, title, unit, scale } = currency(entry);
  const rows = attribute.groups
    .map((group) => ({ group, paid: group.figures[key] }))
    .filter((row) => isNumber(row.paid?.change.value))
    .map(({ group, paid }) => ({
      name: group.name,
      size: group.examples,
      value: scale * paid!.change.value!,
      low: isNumber(paid!.change.interval[0]) ? scale * paid!.change.interval[0] : null,
      high: isNumber(paid!.change.interval[1]) ? scale * paid!.change.interval[1] : null,
      nullLow: isNumber(paid!.null[0]) ? scale * paid!.null[0] : null,
      nullHigh: isNumber(paid!.null[1]) ? scale * paid!.null[1] : null,
      p: paid!.null_p,
      verdict: paid!.skew.verdict,
    }));
  type Row = (typeof rows)[number];
  const longest = Math.max(...names.map((name) => name.length));
  const shorten = (name: string) => (name.length > 19 ? `${name.slice(0, 18)}…` : name);
  const overall = entry.all.figures[key]?.change.value;
  return figure(entry.label, `${title} by ${attribute.name}, ${unit}.`, ({ width }: Frame) =>
    Plot.plot({
      width,
      height: names.length * 22 + 52,
      marginLeft: Math.min(Math.max(44, longest * 7 + 14), 150),
      marginRight: 18,
      marginTop: 10,
      marginBottom: 40,
      style: plotStyle,
      x: { label: `${unit} →`, ticks: width < 380 ? 4 : 6, tickFormat: tick, grid: true, inset: 6 },
      y: { type: "band", domain: names, label: null, tickSize: 0, tickFormat: shorten, grid: true },
      marks: [
        Plot.ruleX([0], { stroke: "var(--rule-strong)" }),
        Plot.barX(
          rows.filter((row) => row.nullLow !== null && row.nullHigh !== null),
          {
            y: "name",
            x1: "nullLow",
            x2: "nullHigh",
            fill: "var(--shade)",
            stroke: "var(--rule)",
            className: "mark-random-groups",
          },
        ),
        isNumber(overall) ? Plot.ruleX([scale * overall], { stroke: "var(--muted)", strokeDasharray: "3,3" }) : null,
        Plot.ruleY(
          rows.filter((row) => row.low !== null && row.high !== null),
          {
            y: "name",
            x1: "low",
            x2: "high",
            strokeWidth: 1.5,
            stroke: (row: Row) => lookOf(row.verdict).colour,
            className: "mark-who-pays-intervals",
          },
        ),
        Plot.dot(rows, {
          y: "name",
          x: "value",
          r: 4.2,
          symbol: (row: Row) => lookOf(row.verdict).symbol,
          fill: (row: Row) => lookOf(row.verdict).colour,
          stroke: "var(--paper)",
          strokeWidth: 0.75,
          className: "mark-who-pays",
        }),
        Plot.tip(
          rows,
          Plot.pointerY({
            ...tipStyle(width),
            y: "name",
            x: "value",
            title: (row: Row) =>
              `${row.name}, ${entry.label}\n${number(row.value)} ${unit}${row.low !== null && row.high !== null ? ` (${number(row.low)} to ${number(row.high)})` : ""}\n` +
              `${count(row.size)} examples, ${lookOf(row.verdict).says}`,
          }),
        ),
      ],
      symbol: { type: "identity" } as Plot.ScaleOptions,
      color: { type: "identity" },
    }),
  );
}

const legend = () =>
  el(
    "p",
    { class: "legend" },
    ...Object.values(LOOK).map(({ colour, symbol, says }) =>
      el(
        "span",
        null,
        el("span", { class: `key ${symbol.replace("2", "")}`, style: `--key:${colour}`, "aria-hidden": true }),
        says,
      ),
    ),
    el("span", { class: "muted" }, "shaded: where random groups of the same size end up; dashed: everything together"),
  );

/** A table per model. */
function figuresTable(entry: Entry, attribute: Attribute): HTMLElement {
  const paid = currency(entry),
    shown = shownFigure(entry);
  const value = (group: PaidGroup, side: "reference" | "model") => {
    const figure = group.figures[shown.key]?.[side];
    return isNumber(figure) ? shown.scale * figure : null;
  };
  const cell = (x: number | null) => (x === null ? number(x) : shown.scale === 100 ? fixed(x, 2) : fixed(x, 4));
  const range = ([low, high]: [number | null, number | null]) =>
    isNumber(low) && isNumber(high) ? `${number(paid.scale * low)} to ${number(paid.scale * high)}` : number(null);
  return table<PaidGroup>(
    `${entry.label}, ${attribute.name}`,
    [
      { head: "Group", cell: (g) => g.name, key: (g) => g.name },
      { head: "Examples", numeric: true, cell: (g) => count(g.examples), key: (g) => g.examples },
      {
        head: `${shown.title}, before`,
        numeric: true,
        cell: (g) => cell(value(g, "reference")),
        key: (g) => value(g, "reference"),
      },
      { head: "After", numeric: true, cell: (g) => cell(value(g, "model")), key: (g) => value(g, "model") },
      {
        head: paid.title,
        hint: paid.unit,
        numeric: true,
        cell: (g) =>
          number(isNumber(g.figures[paid.key]?.change.value) ? paid.scale * g.figures[paid.key]!.change.value! : null),
        key: (g) => g.figures[paid.key]?.change.value ?? null,
      },
      { head: "Interval", numeric: true, cell: (g) => range(g.figures[paid.key]?.change.interval ?? [null, null]) },
      {
        head: "More than others",
        numeric: true,
        cell: (g) =>
          number(isNumber(g.figures[paid.key]?.skew.value) ? paid.scale * g.figures[paid.key]!.skew.value! : null),
        key: (g) => g.figures[paid.key]?.skew.value ?? null,
      },
      {
        head: "p of random",
        hint: "How often a random group of this size changes as much",
        numeric: true,
        cell: (g) => number(g.figures[paid.key]?.null_p),
        key: (g) => g.figures[paid.key]?.null_p ?? null,
      },
      {
        head: "Verdict",
        cell: (g) => g.figures[paid.key]?.skew.verdict ?? "",
        key: (g) => g.figures[paid.key]?.skew.verdict ?? null,
      },
    ],
    attribute.groups,
  ).element;
}

function tables(entries: Entry[], name: string): HTMLElement {
  return el("div", null, ...entries.map((entry) => figuresTable(entry, attributeOf(entry, name)!)));
}

function panels(entries: Entry[], name: string): HTMLElement {
  const names = order(entries, name);
  return el("div", { class: "multiples" }, ...entries.map((entry) => panel(entry, attributeOf(entry, name)!, names)));
}

function summary(entries: Entry[], name: string): HTMLElement {
  return el(
    "dl",
    { class: "claims" },
    ...entries.flatMap((entry) => {
      const attribute = attributeOf(entry, name);
      if (!attribute) return [];
      return [el("dt", null, strong(entry.label)), el("dd", null, claims(entry, attribute).join(" "))];
    }),
  );
}

/** One set of data; units and attributes beyond the first open on demand. */
function paidOn({ entries, first }: DataSet): Child[] {
  const units = [...new Set(entries.map((entry) => entry.unit))];
  const attributes = first[0]!.attributes.map((attribute) => attribute.name);
  const of = (unit: string, name: string) =>
    entries.filter((entry) => entry.unit === unit && attributeOf(entry, name) !== undefined);
  const others = units
    .flatMap((unit) => attributes.map((name) => ({ unit, name })))
    .filter(({ unit, name }) => unit !== units[0] || name !== attributes[0]);
  return [
    summary(first, attributes[0]!),
    panels(first, attributes[0]!),
    disclosure(`Tables by ${attributes[0]}`, () => tables(first, attributes[0]!)),
    ...others
      .filter(({ unit, name }) => of(unit, name).length > 0)
      .map(({ unit, name }) =>
        disclosure(`By ${name}, loss per ${unit}`, () => {
          const own = of(unit, name);
          return el("div", null, summary(own, name), panels(own, name), tables(own, name));
        }),
      ),
  ];
}

export function whoPays(report: Report): HTMLElement | null {
  const sets = dataSets(report.who_pays);
  const first = sets[0]?.first[0];
  if (!first) return null;
  const named = ({ name, examples }: DataSet) => `${name} (${count(examples)} examples)`;
  return section(
    "who-pays",
    "Who pays for quantizing",
    p(
      `Each group's change against ${first.reference}, on ${listed(sets.map(named))}. `,
      `Lines are intervals of ${number(100 * (first.confidence ?? 0.95), 2)} %. A group is said to pay only if the whole interval of what it pays more than all others lies beyond the tolerance, for all groups at once, and random groups of its size rarely get there.`,
      sets.length > 1 &&
        " Groups are compared with those of the same data: losses of different units have no common measure.",
    ),
    legend(),
    ...sets.flatMap((set) => [
      sets.length > 1 && el("h3", { class: "data-set" }, `${set.name}, loss per ${set.first[0]!.unit}`),
      ...paidOn(set),
    ]),
  );
}

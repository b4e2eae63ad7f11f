// Which component hurts which group: the damage of isolated components by group, and what of it is more than noise.

import * as Plot from "@observablehq/plot";
import { figure, plotStyle, tipStyle, type Frame } from "../chart";
import { ramp } from "../colour";
import type { Component, GroupProfile, Num, Plan, Report } from "../data";
import { disclosure, el, p, section, strong } from "../dom";
import { count, isNumber, measured, number, share } from "../format";
import { table } from "../table";
import { natsPer, ofImages } from "../unit";

type GroupSize = { name: string; windows: Num; tokens: Num };
const SURE = 0.05;
const SHOWN = 24; // rows of the map
const WIDEST = 3; // a factor that has the last colour

interface Cell {
  component: string;
  group: string;
  factor: number;
  kl: number;
  error: unknown;
}

const isMatrix = (c: Component) => ["tensor", "router", "embed", "lm_head"].includes(c.kind);
const klOf = (c: Component, group: string) => c.groups?.[group]?.kl_nats;

/**
 * Each component's damage by group over what all components together would make one expect, as the diagnosis has it; where it
 * has none, the component's damage by group over its own mean, and that over the same of all components together.
 */
function cellsOf(components: Component[], groups: string[], profiled: GroupProfile[]): Map<string, Cell[]> {
  const known = new Map(profiled.map((profile) => [profile.name, profile.factors]));
  const profiles = components.map((c) => {
    const kl = groups.map((g) => klOf(c, g) as number);
    const mean = kl.reduce((a, b) => a + b, 0) / groups.length;
    return { c, kl, ratio: kl.map((v) => v / mean) };
  });
  const common = groups.map((_, g) => profiles.reduce((sum, { ratio }) => sum + ratio[g]!, 0) / profiles.length);
  return new Map(
    profiles.map(({ c, kl, ratio }) => [
      c.name,
      groups.map((group, g) => ({
        component: c.name,
        group,
        factor: known.get(c.name)?.[group] ?? ratio[g]! / common[g]!,
        kl: kl[g]!,
        error: c.groups?.[group]?.kl_nats_stderr,
      })),
    ]),
  );
}

const position = (factor: number) => 0.5 + Math.log(factor) / (2 * Math.log(WIDEST));

function heatMap(cells: Cell[], groups: string[], rows: string[]): HTMLElement {
  const marginLeft = Math.min(Math.max(...rows.map((r) => r.length)) * 7 + 14, 150);
  const draw = ({ width, dark }: Frame) => {
    const colours = ramp("difference", dark);
    const cellWidth = Math.min((width - marginLeft - 8) / groups.length, 76);
    const longest = Math.max(3, Math.floor(cellWidth / 7));
    return Plot.plot({
      width: Math.round(marginLeft + 8 + cellWidth * groups.length),
      height: rows.length * 17 + 44,
      marginLeft,
      marginRight: 8,
      marginTop: 36,
      marginBottom: 8,
      style: plotStyle,
      x: {
        type: "band",
        domain: groups,
        axis: "top",
        label: null,
        tickSize: 0,
        paddingInner: 0.03,
        paddingOuter: 0,
        tickFormat: (g: string) => (g.length > longest ? `${g.slice(0, longest - 1)}…` : g),
      },
      y: { type: "band", domain: rows, label: null, tickSize: 0, paddingInner: 0.06, paddingOuter: 0 },
      color: { type: "identity" },
      marks: [
        Plot.cell(cells, {
          x: "group",
          y: "component",
          fill: (c: Cell) => colours.at(position(c.factor)),
          stroke: "var(--rule)",
          strokeWidth: 0.5,
          className: "mark-component-groups",
        }),
        Plot.tip(
          cells,
          Plot.pointer({
            ...tipStyle(width),
            x: "group",
            y: "component",
            maxRadius: 60,
            title: (c: Cell) =>
              `${c.component}, ${c.group}\n${number(c.factor)} times what is expected\nKL ${measured(c.kl, c.error)} ${natsPer()}`,
          }),
        ),
      ],
    });
  };
  return figure(
    "Component by group.",
    `Red: the group pays more for this component than it pays for all components; blue: less. The last colours stand for ${WIDEST} times as much and as little. Cells are estimates; the text says which rows are more than noise.`,
    draw,
  );
}

function verdict(report: Report): HTMLElement | null {
  const profiles = report.diagnosis?.group_profiles;
  const first = profiles?.components[0];
  if (!profiles || !first || !isNumber(profiles.p)) return null;
  const permuted = `when ${ofImages() ? "images" : "windows"} change groups at random, ${count(profiles.permutations)} times`;
  const sure = profiles.components.filter((c) => isNumber(c.p) && c.p <= SURE);
  if (sure.length === 0)
    return p(
      profiles.p <= SURE
        ? `Taken together, components share their damage out among groups differently (p = ${number(profiles.p)}, ${permuted}), but no single one can be named.`
        : `Nothing here says that components hurt different groups: their profiles differ no more than they do ${permuted} (p = ${number(profiles.p)}).`,
    );
  return p(
    `${sure.length} of ${profiles.components.length} components share their damage out among groups differently from the others, and more than they do ${permuted}. `,
    "The most different is ",
    strong(first.name),
    `: ${first.group} pays ${number(first.factor)} times what all components together would make one expect.`,
  );
}

/** What hurts a group most, and what the intervals do not tell from it. */
function mostHurtful(components: Component[], group: string): string {
  const ranked = components
    .filter((c) => isMatrix(c) && isNumber(klOf(c, group)))
    .sort((a, b) => (klOf(b, group) as number) - (klOf(a, group) as number));
  const first = ranked[0];
  if (!first) return "–";
  const errorOf = (c: Component) => c.groups?.[group]?.kl_nats_stderr;
  const close = ranked.slice(1).filter((c) => {
    const error = Math.hypot(Number(errorOf(c) ?? Infinity), Number(errorOf(first) ?? Infinity));
    return !((klOf(first, group) as number) - (klOf(c, group) as number) > 2 * error);
  });
  const value = `${first.name} (${measured(klOf(first, group), errorOf(first))})`;
  if (close.length === 0) return value;
  return `${value}, not told from ${close.length > 2 ? `${close.length} others` : close.map((c) => c.name).join(" and ")}`;
}

function planned(plan: Plan | null | undefined): HTMLElement[] {
  const objective = plan?.objective;
  if (!objective) return [];
  return [
    p(
      "The plan was made for the objective ",
      strong(objective.name),
      `: predicted ${number(objective.kl_nats)} ${natsPer()}, and no plan within the budget is predicted below ${number(objective.lower_bound_kl_nats)}.`,
    ),
    table(
      "What the plan is predicted to do to each group",
      [
        { head: "Group", cell: (g) => g.group, key: (g) => g.group },
        { head: "Weight", numeric: true, cell: (g) => number(g.weight), key: (g) => g.weight },
        { head: "Predicted KL", numeric: true, cell: (g) => number(g.kl_nats), key: (g) => g.kl_nats },
        { head: "Least of any plan", numeric: true, cell: (g) => number(g.least_kl_nats), key: (g) => g.least_kl_nats },
      ],
      objective.groups,
    ).element,
  ];
}

export function componentGroups(report: Report): HTMLElement | null {
  const diagnosis = report.diagnosis;
  const groups = (diagnosis?.groups ?? []).map((g) => g.name);
  const components = (diagnosis?.components ?? []).filter((c) =>
    groups.every((g) => isNumber(klOf(c, g)) && (klOf(c, g) as number) > 0),
  );
  const objective = planned(report.plan);
  if (groups.length < 2 || components.length === 0)
    return objective.length > 0 ? section("component-groups", "What hurts whom", ...objective) : null;
  const cells = cellsOf(components, groups, diagnosis?.group_profiles?.components ?? []);
  const order = (diagnosis?.group_profiles?.components ?? []).map((c: GroupProfile) => c.name);
  const rows = [...new Set([...order, ...components.map((c) => c.name)])].filter((n) => cells.has(n)).slice(0, SHOWN);
  const all = diagnosis?.group_profiles?.components ?? [];
  return section(
    "component-groups",
    "What hurts whom",
    verdict(report),
    table(
      "What hurts each group most",
      [
        { head: "Group", cell: (g) => g.name, key: (g) => g.name },
        ...(ofImages()
          ? []
          : [{ head: "Windows", numeric: true, cell: (g: GroupSize) => count(g.windows), key: (g: GroupSize) => g.windows }]),
        { head: ofImages() ? "Images" : "Tokens", numeric: true, cell: (g) => count(g.tokens), key: (g) => g.tokens },
        { head: "Matrix that hurts it most (KL)", cell: (g) => mostHurtful(components, g.name) },
      ],
      diagnosis!.groups!,
    ).element,
    heatMap(
      rows.flatMap((name) => cells.get(name)!),
      groups,
      rows,
    ),
    rows.length < components.length &&
      el("p", { class: "muted" }, `The ${rows.length} most different of ${components.length} components are drawn.`),
    ...objective,
    all.length > 0 &&
      disclosure(
        `All ${all.length} profiles as a table`,
        () =>
          table<GroupProfile>(
            "Components by how differently they share their damage out",
            [
              { head: "Component", cell: (c) => c.name, key: (c) => c.name },
              { head: "Explained by groups", numeric: true, cell: (c) => share(c.explained_share), key: (c) => c.explained_share },
              { head: "Group", cell: (c) => c.group, key: (c) => c.group },
              { head: "Times the expected", numeric: true, cell: (c) => number(c.factor), key: (c) => c.factor },
              { head: "p among all", numeric: true, cell: (c) => number(c.p), key: (c) => c.p },
            ],
            all,
            { tall: true },
          ).element,
      ),
  );
}

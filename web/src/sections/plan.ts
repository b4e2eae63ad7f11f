// The plan: what each tensor is stored as, and why.

import * as Plot from "@observablehq/plot";
import { figure, tipStyle, type Frame } from "../chart";
import { inkOn, ramp } from "../colour";
import { heldInstead, type Plan, type PlanEntry, type Report, type ResultRow } from "../data";
import { el, p, section, strong } from "../dom";
import { bits, bytes, count, fixed, isNumber, number, share } from "../format";
import { layerGrid } from "../layer_grid";
import { sharedCells, type Cell } from "../shared_cells";
import { table } from "../table";
import { stackOf } from "../stack";
import { natsPer } from "../unit";

type Drawn = PlanEntry & { bits_per_weight: number };

function describe(e: PlanEntry): string {
  return [
    e.tensor,
    `${e.scheme}, ${bits(e.bits_per_weight)} bits per weight`,
    `${count(e.rows)} × ${count(e.cols)}, ${bytes(e.bytes)}`,
    `predicted KL ${number(e.predicted_kl_nats)} ${natsPer()}`,
    ...(isNumber(e.left) ? [`the search of values leaves ${share(e.left)} of rounding's damage`] : []),
    e.reason,
  ].join("\n");
}

/** Of all weights in a cell. */
function cellBits(cell: Cell<Drawn>): number {
  const weights = (e: Drawn) => (e.rows ?? 0) * (e.cols ?? 0);
  const all = cell.items.reduce((sum, e) => sum + weights(e), 0);
  return all > 0
    ? cell.items.reduce((sum, e) => sum + e.bits_per_weight * weights(e), 0) / all
    : cell.items[0].bits_per_weight;
}

/** Experts of one layer and role share a cell: how many of them each scheme has. */
function describeCell(cell: Cell<Drawn>): string {
  if (cell.items.length === 1) return describe(cell.items[0]);
  const of = new Map<string, number>();
  for (const e of cell.items) of.set(e.scheme, (of.get(e.scheme) ?? 0) + 1);
  const sum = (value: (e: Drawn) => number | null) => cell.items.reduce((s, e) => s + (value(e) ?? 0), 0);
  return [
    `${cell.items[0].tensor} and ${cell.items.length - 1} more`,
    `${[...of].map(([scheme, n]) => (of.size > 1 ? `${n} × ${scheme}` : scheme)).join(", ")}, ${bits(cellBits(cell))} bits per weight`,
    `${bytes(sum((e) => e.bytes))} together`,
    `predicted KL ${number(sum((e) => e.predicted_kl_nats))} ${natsPer()} together`,
    ...(of.size === 1 ? [cell.items[0].reason] : []),
  ].join("\n");
}

function grid(entries: Drawn[]): HTMLElement | null {
  const inLayers = entries.filter((e) => e.layer >= 0);
  const outside = entries.filter((e) => e.layer < 0);
  const values = entries.map((e) => e.bits_per_weight);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const position = (bitsPerWeight: number) => (high > low ? (bitsPerWeight - low) / (high - low) : 0.5);
  const rowOf = (e: Drawn) => [stackOf(e.tensor), e.role].filter(Boolean).join(" ");
  const roles = [...new Set(inLayers.map(rowOf))];
  const cells = sharedCells(inLayers, rowOf);
  const layers = [...new Set(inLayers.map((e) => e.layer))].sort((a, b) => a - b);
  const chips = outside.map((e) => ({
    e,
    chip: el(
      "span",
      { class: "chip", title: describe(e) },
      e.tensor,
      " ",
      strong(bits(e.bits_per_weight)),
      ` ${e.scheme}`,
    ),
  }));
  const scaleBar = el("div", { class: "ramp" });
  const draw = ({ width, dark }: Frame) => {
    const colours = ramp("bits", dark);
    scaleBar.style.background = colours.css;
    for (const { e, chip } of chips) chip.style.setProperty("--chip", colours.at(position(e.bits_per_weight)));
    const marginLeft = Math.min(Math.max(60, Math.max(0, ...roles.map((r) => r.length)) * 7 + 12), 140);
    const { cellWidth, frame } = layerGrid({ layers, rows: roles, width, marginLeft, cellHeight: 28, widestCell: 110 });
    return Plot.plot({
      ...frame,
      y: { type: "band", domain: roles, label: null, tickSize: 0, paddingInner: 0.07, paddingOuter: 0 },
      marks: [
        Plot.cell(cells, {
          x: "layer",
          y: "row",
          fill: (cell: Cell<Drawn>) => colours.at(position(cellBits(cell))),
          className: "mark-plan-cells",
        }),
        cellWidth >= 28
          ? Plot.text(cells, {
              x: "layer",
              y: "row",
              text: (cell: Cell<Drawn>) => bits(cellBits(cell)),
              fill: (cell: Cell<Drawn>) => inkOn(colours.at(position(cellBits(cell)))),
              fontSize: 11,
            })
          : null,
        Plot.tip(
          cells,
          Plot.pointer({ ...tipStyle(width), x: "layer", y: "row", title: describeCell, maxRadius: 60 }),
        ),
      ],
    });
  };
  if (inLayers.length === 0) return null;
  const legend = el(
    "div",
    { class: "ramp-legend", role: "img", "aria-label": `Colour scale: ${bits(low)} to ${bits(high)} bits per weight` },
    el("span", null, "bits per weight"),
    el(
      "div",
      { class: "ramp-box" },
      scaleBar,
      ...[0, 0.5, 1].map((t) =>
        el("span", { class: "ramp-tick", style: `left:${100 * t}%` }, bits(low + t * (high - low))),
      ),
    ),
  );
  return figure(
    "Bits per weight, by layer and role.",
    "Point at a cell for its scheme and the reason.",
    draw,
    legend,
    chips.length > 0 &&
      el(
        "p",
        { class: "chips" },
        el("span", { class: "muted" }, "Outside the layers: "),
        ...chips.map(({ chip }) => chip),
      ),
  );
}

function entriesTable(entries: PlanEntry[]): HTMLElement {
  const view = table<PlanEntry>(
    "The plan, tensor by tensor",
    [
      { head: "Tensor", cell: (e) => e.tensor, key: (e) => e.tensor },
      { head: "Shape", numeric: true, cell: (e) => `${count(e.rows)} × ${count(e.cols)}` },
      { head: "Scheme", cell: (e) => e.scheme, key: (e) => e.scheme },
      { head: "Bits per weight", numeric: true, cell: (e) => bits(e.bits_per_weight), key: (e) => e.bits_per_weight },
      { head: "Size", numeric: true, cell: (e) => bytes(e.bytes), key: (e) => e.bytes },
      {
        head: "Predicted KL, nats",
        numeric: true,
        cell: (e) => number(e.predicted_kl_nats),
        key: (e) => e.predicted_kl_nats,
      },
      ...(entries.some((e) => isNumber(e.left))
        ? [
            {
              head: "Left of rounding's damage",
              numeric: true,
              cell: (e: PlanEntry) => share(e.left),
              key: (e: PlanEntry) => e.left ?? null,
            },
          ]
        : []),
      { head: "Reason", cell: (e) => e.reason, wide: true },
    ],
    entries,
    { tall: true },
  );
  const input = el("input", {
    type: "search",
    id: "plan-filter",
    autocomplete: "off",
    placeholder: "ffn_down, q6_k, L3 …",
  });
  const status = el("span", { class: "muted", role: "status" });
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = entries.filter((e) => {
      const text = [e.tensor, e.role, e.scheme, e.reason].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    view.show(kept);
    const size = kept.reduce((sum, e) => sum + (e.bytes ?? 0), 0);
    status.textContent = `${kept.length} of ${entries.length} tensors, ${bytes(size)}`;
  };
  input.addEventListener("input", apply);
  apply();
  return el(
    "div",
    { class: "filtered" },
    el("div", { class: "filter" }, el("label", { for: "plan-filter" }, "Filter"), input, status),
    view.element,
  );
}

/** "21 % (L1.attn_k) to 103 % (L5.attn_k)" */
function leftOf(entries: PlanEntry[]): string {
  const known = entries.filter((e) => isNumber(e.left)).sort((a, b) => (a.left ?? 0) - (b.left ?? 0));
  const say = (e: PlanEntry) => `${share(e.left)} (${e.tensor})`;
  return [known[0], known[known.length - 1]].map(say).join(" to ");
}

function opening(plan: Plan, instead: ResultRow | null): HTMLElement {
  const spare = isNumber(plan.budget_bytes) && isNumber(plan.file_bytes) ? plan.budget_bytes - plan.file_bytes : null;
  return p(
    instead
      ? `These are the tensors of ${plan.label}, which ${instead.kind === "reference" ? "fits the budget as it is" : "measured better than the plan"} and is what model.gguf holds. `
      : "",
    `Made for ${plan.target} with a budget of ${plan.budget_text}`,
    isNumber(plan.budget_bytes) ? ` (${count(plan.budget_bytes)} bytes)` : "",
    isNumber(plan.file_bytes) ? `; the file takes ${bytes(plan.file_bytes)}` : "",
    isNumber(spare) && spare >= 0 ? `, ${bytes(spare)} to spare` : isNumber(spare) ? `, ${bytes(-spare)} too many` : "",
    ". ",
    isNumber(plan.predicted_kl_nats) ? `Predicted KL ${number(plan.predicted_kl_nats)} ${natsPer()}` : "",
    isNumber(plan.lower_bound_kl_nats)
      ? `; no plan of these candidates can be predicted below ${number(plan.lower_bound_kl_nats)}`
      : "",
    isNumber(plan.gap) ? ` (gap ${fixed(100 * plan.gap, 2)} %).` : isNumber(plan.predicted_kl_nats) ? "." : "",
    plan.method
      ? ` Values are searched by ${plan.method}, and the plan weighs what that leaves of each matrix' damage on data that its values were not made from: ${leftOf(plan.entries)}.`
      : "",
  );
}

export function planSection(report: Report): HTMLElement | null {
  const plan = report.plan;
  if (!plan) return null;
  const drawn = plan.entries.filter((e): e is Drawn => isNumber(e.bits_per_weight));
  return section(
    "plan",
    "The plan",
    opening(plan, heldInstead(report)),
    drawn.length > 0 && grid(drawn),
    plan.entries.length > 0 && entriesTable(plan.entries),
  );
}

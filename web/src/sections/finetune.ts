// Training with rounding in the loop: how it went, and every group before and after, worse ones named first.

import * as Plot from "@observablehq/plot";
import { figure, plotStyle, tipStyle, type Frame } from "../chart";
import type { Finetune, FinetuneGroup, Interval, Report } from "../data";
import { el, p, section, strong } from "../dom";
import { count, isNumber, measured, number, share, tick } from "../format";
import { table, type Column } from "../table";

type Verdict = "better" | "worse" | "undecided";
const COLOURS: Record<Verdict, string> = {
  better: "var(--uniform)",
  worse: "var(--plan)",  // as where groups pay more
  undecided: "var(--reference)",
};
const LINES = ["var(--plan)", "var(--reference)"];

/** By the 95% interval of the paired difference. */
function verdictOf(change: Interval | null | undefined): Verdict {
  if (!change || !isNumber(change.low) || !isNumber(change.high)) return "undecided";
  return change.high < 0 ? "better" : change.low > 0 ? "worse" : "undecided";
}

const nameOf = (group: FinetuneGroup) => group.name || "all";
const klOf = (group: FinetuneGroup) => group.change?.kl_nats;
const signed = (value: unknown) => (isNumber(value) && value > 0 ? `+${number(value)}` : number(value));
const listed = (groups: FinetuneGroup[]) => groups.map(nameOf).join(", ");

/** What the figures say, whoever likes it. */
function sentences({ groups, all }: Finetune): HTMLElement {
  const by = (verdict: Verdict) => groups.filter((group) => verdictOf(klOf(group)) === verdict);
  const raised = by("undecided").filter((group) => (klOf(group)?.value ?? 0) > 0);
  const worse = by("worse");
  return el(
    "ul",
    { class: "finetune-sentences" },
    el(
      "li",
      null,
      worse.length > 0
        ? strong(`Worse off than without training: ${listed(worse)}.`)
        : "No group is shown to be worse off than without training.",
    ),
    raised.length > 0 &&
      el("li", null, `Higher than before, within what chance explains: ${listed(raised)}.`),
    el("li", null, `Better off: ${by("better").length} of ${groups.length} groups.`),
    isNumber(klOf(all)?.value) &&
      el(
        "li",
        null,
        `Over all, the distance to full precision changed by ${signed(klOf(all)!.value)} nats (95%: ${signed(klOf(all)!.low)} to ${signed(klOf(all)!.high)}).`,
      ),
  );
}

/** KL of the validation part over the steps: the mean as a line, the worst group dashed. */
function curves({ curves: all }: Finetune): HTMLElement {
  const rows = all.flatMap(({ name, points }) =>
    points.flatMap((point) => [
      { run: name, what: "all", step: point.step, value: point.kl_nats, loss: point.training_loss, group: "" },
      {
        run: name,
        what: "worst group",
        step: point.step,
        value: point.worst_kl_nats,
        loss: point.training_loss,
        group: point.worst_group,
      },
    ]),
  );
  const shown = rows.filter((row) => isNumber(row.value));
  const runs = all.map((curve) => curve.name);
  const legend = el(
    "p",
    { class: "legend" },
    ...runs.map((run, r) =>
      el(
        "span",
        null,
        el("span", { class: "key circle", style: `--key:${LINES[r % LINES.length]!}`, "aria-hidden": true }),
        run,
      ),
    ),
  );
  return figure(
    "KL from full precision while it learned, nats.",
    "On the part that was kept apart: all as a line, the worst group dashed; the ring is the checkpoint that was kept.",
    ({ width }: Frame) =>
      Plot.plot({
        width,
        height: 260,
        marginLeft: 52,
        marginBottom: 38,
        style: plotStyle,
        color: { domain: runs, range: runs.map((_, r) => LINES[r % LINES.length]!) },
        x: { label: "step →", tickFormat: tick, ticks: width < 380 ? 4 : 7 },
        y: { label: null, grid: true, zero: true, tickFormat: tick },
        marks: [
          ...["all", "worst group"].map((what) =>
            Plot.line(
              shown.filter((row) => row.what === what),
              {
                x: "step",
                y: "value",
                stroke: "run",
                z: "run",
                strokeDasharray: what === "all" ? "none" : "4,3",
                className: "mark-training",
              },
            ),
          ),
          Plot.dot(
            shown.filter((row) => all.some((curve) => curve.name === row.run && curve.best_step === row.step)),
            { x: "step", y: "value", r: 5, stroke: "run", fill: "var(--paper)" },
          ),
          Plot.tip(
            shown,
            Plot.pointer({
              ...tipStyle(width),
              x: "step",
              y: "value",
              title: (row: (typeof shown)[number]) =>
                `${row.run}, step ${count(row.step)}\n${row.what}${row.group ? ` (${row.group})` : ""}: ${number(row.value)}\ntraining loss: ${number(row.loss)}`,
            }),
          ),
        ],
      }),
    runs.length > 1 ? legend : undefined,
  );
}

const isStill = (change: Interval | null | undefined) =>
  change?.value === 0 && change.low === 0 && change.high === 0;

/** By how much each group's KL changed, with its interval. */
function changes({ groups }: Finetune): HTMLElement {
  if (groups.every((group) => isStill(klOf(group))))
    return p("Nothing changed for any group: no checkpoint was better than what training began with, which was kept.");
  const rows = groups
    .map((group) => ({ name: nameOf(group), change: klOf(group), verdict: verdictOf(klOf(group)) }))
    .filter((row) => isNumber(row.change?.value))
    .sort((a, b) => b.change!.value! - a.change!.value!);
  const longest = Math.max(...rows.map((row) => row.name.length), 1);
  return figure(
    "What training changed for each group, nats of KL.",
    "Left of 0 is closer to full precision than the same plan without training; bars are 95% intervals of paired differences.",
    ({ width }: Frame) =>
      Plot.plot({
        width,
        height: rows.length * 22 + 52,
        marginLeft: Math.min(Math.max(44, longest * 7 + 14), 150),
        marginBottom: 38,
        style: plotStyle,
        x: { label: "change of KL, nats →", tickFormat: tick, ticks: width < 380 ? 4 : 6, grid: true, inset: 6 },
        y: { type: "band", domain: rows.map((row) => row.name), label: null, tickSize: 0, grid: true },
        marks: [
          Plot.ruleX([0], { stroke: "var(--rule-strong)" }),
          Plot.ruleY(
            rows.filter((row) => isNumber(row.change!.low) && isNumber(row.change!.high)),
            {
              y: "name",
              x1: (row) => row.change!.low,
              x2: (row) => row.change!.high,
              strokeWidth: 1.5,
              stroke: (row) => COLOURS[row.verdict as Verdict],
            },
          ),
          Plot.dot(rows, {
            y: "name",
            x: (row) => row.change!.value,
            r: 4.2,
            fill: (row) => COLOURS[row.verdict as Verdict],
            className: "mark-mended",
          }),
        ],
      }),
  );
}

function figures({ models, groups, all, loss_per_byte }: Finetune): HTMLElement {
  const column = (head: string, m: number, key: "kl_nats" | "loss_nats"): Column<FinetuneGroup> => ({
    head,
    numeric: true,
    cell: (row) => measured(row.models[m]?.[key], row.models[m]?.[`${key}_stderr`]),
    key: (row) => row.models[m]?.[key] ?? null,
  });
  const right = models.map(
    (model, m): Column<FinetuneGroup> => ({
      head: `right, ${model}`,
      numeric: true,
      cell: (row) => share(row.models[m]?.right_share),
      key: (row) => row.models[m]?.right_share ?? null,
    }),
  );
  return table<FinetuneGroup>(
    `KL from full precision and loss, nats${loss_per_byte ? " (loss per byte)" : ""}, with standard errors`,
    [
      { head: "Group", cell: nameOf, key: nameOf },
      { head: "Scored", numeric: true, cell: (row) => count(row.scored), key: (row) => row.scored },
      ...models.flatMap((model, m) => (m === 0 ? [] : [column(`KL, ${model}`, m, "kl_nats")])),
      ...models.map((model, m) => column(`loss, ${model}`, m, "loss_nats")),
      ...right,
    ],
    [all, ...groups],
    { tall: groups.length > 16, rowClass: (row) => (verdictOf(klOf(row)) === "worse" ? "worse-off" : "") },
  ).element;
}

const OBJECTIVES: Record<string, string> = {
  "worst-kl": "KL of the worst group",
  "mean-kl": "KL of all",
  "worst-nll": "loss of the worst group",
  "mean-nll": "loss of all",
};

/** "checkpoint of step 40 was kept, which had the least KL of all". */
function keptSaid({ best_step, objective }: Finetune["curves"][number]): string {
  const least = objective ? OBJECTIVES[objective] : undefined;
  return `checkpoint of step ${count(best_step)} was kept${least ? `, which had the least ${least}` : ""}`;
}

/** What the control's last checkpoint is, which it may never have left. */
function controlSaid({ curves }: Finetune): string {
  const control = curves.find((curve) => curve.name === "control");
  if (control && control.best_step === 0)
    return "The control learned by the same recipe without rounding and found nothing better than full precision.";
  return (
    "The control learned by the same recipe without rounding: training on is a gain of its own" +
    (control ? `; its ${keptSaid(control)}.` : ".")
  );
}

export function finetune(report: Report): HTMLElement | null {
  const data = report.finetune;
  if (!data) return null;
  const trained = data.curves.find((curve) => curve.name === "trained");
  return section(
    "finetune",
    "Trained with rounding in the loop",
    p(
      `The plan “${data.plan}” before and after training, at the same bytes, measured on ${data.measured_on.name}`,
      data.measured_on.held_out ? ", which nothing was learned from. " : ": the part that chose the checkpoint. ",
      trained ? `The ${keptSaid(trained)}; ended by ${trained.stopped}. ` : "",
      data.models.includes("control")
        ? controlSaid(data)
        : "",
    ),
    sentences(data),
    data.curves.some((curve) => curve.points.length > 1) && curves(data),
    data.groups.length > 0 && changes(data),
    figures(data),
  );
}

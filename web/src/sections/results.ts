// The table of measured models: the original, the uniform ones, the plan.

import { budgetBytes, comparison, type Report, type ResultRow } from "../data";
import { el, p, section } from "../dom";
import { bits, bytes, count, isNumber } from "../format";
import { metricColumns } from "../metrics";
import { table } from "../table";
import { ofImages } from "../unit";

const KIND_WORD: Record<string, string> = { reference: "original", uniform: "uniform", preset: "llama.cpp's mix", plan: "plan" };

function name(row: ResultRow): HTMLElement {
  return el("span", { class: "model" }, el("span", { class: `key ${row.kind}`, "aria-hidden": true }), row.label);
}

/** Where values were not searched alike, part of what tells the models apart. */
function methodsTold(rows: ResultRow[]): string {
  const plan = rows.find((row) => row.kind === "plan")?.method;
  const other = rows.find((row) => row.method && row.method !== plan)?.method;
  if (!plan || !other) return "";
  const alike = rows.filter((row) => row.kind !== "plan" && row.method === plan).map((row) => ` and of ${row.label}`);
  return ` Values of the plan${alike.join("")} were searched by ${plan}, those of the others by ${other}, which is part of the distance between them.`;
}

export function results(report: Report): HTMLElement | null {
  if (!report.results) return null;
  const budget = budgetBytes(report);
  const { reference } = comparison(report);
  const rows = [...report.results.rows].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
  const view = table<ResultRow>(
    "Measured models, largest first",
    [
      { head: "Model", cell: name, key: (r) => r.label },
      {
        head: "Size",
        hint: "Whole file; of the original, its tensors",
        numeric: true,
        cell: (r) => el("span", { title: `${count(r.bytes)} bytes` }, bytes(r.bytes)),
        key: (r) => r.bytes,
      },
      ...metricColumns<ResultRow>(report.results.metrics),
      { head: "Bits per weight", numeric: true, cell: (r) => bits(r.bits_per_weight), key: (r) => r.bits_per_weight },
      {
        head: "Fits",
        cell: (r) => (r.budget_fits ? "yes" : el("span", { class: "muted" }, "no")),
        key: (r) => Number(r.budget_fits),
      },
      { head: "Kind", cell: (r) => KIND_WORD[r.kind] ?? r.kind, key: (r) => r.kind },
    ],
    rows,
    { rowClass: (r) => r.kind },
  );
  return section(
    "results",
    "What was measured",
    p(
      isNumber(budget) ? `The budget is ${bytes(budget)} (${count(budget)} bytes). ` : "",
      reference ? `KL and “${ofImages() ? "same class" : "same first choice"}” compare each model with ${reference.label}, ${ofImages() ? "image by image" : "token by token"}.` : "",
      methodsTold(report.results.rows),
      ` ${ofImages() ? "Accuracy can rise above" : "Perplexity can fall below"} the original's by luck, so it decides nothing here.`,
    ),
    view.element,
  );
}

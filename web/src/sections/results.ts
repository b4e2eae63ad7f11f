// The table of measured models: the original, the uniform ones, the plan.

import { budgetBytes, comparison, type Report, type ResultRow } from "../data";
import { el, p, section } from "../dom";
import { bits, bytes, count, isNumber, measured, number, share } from "../format";
import { table } from "../table";

const KIND_WORD: Record<string, string> = { reference: "original", uniform: "uniform", plan: "plan" };

function name(row: ResultRow): HTMLElement {
  return el("span", { class: "model" }, el("span", { class: `key ${row.kind}`, "aria-hidden": true }), row.label);
}

export function results(report: Report): HTMLElement | null {
  if (!report.results) return null;
  const budget = budgetBytes(report);
  const { reference } = comparison(report);
  const rows = [...report.results.rows].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
  // Two digits of the error, since models differ by less than it: their errors are of the same text, hence alike.
  const perplexity = (value: unknown, error: unknown) =>
    isNumber(error) && error > 0 ? measured(value, error, 2) : number(value, 4);
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
      {
        head: "KL, nats per token",
        hint: "Kullback-Leibler divergence from the original, mean per predicted token",
        numeric: true,
        cell: (r) => measured(r.kl_nats, r.kl_nats_stderr),
        key: (r) => r.kl_nats,
      },
      {
        head: "Same first choice",
        hint: "Share of tokens at which the most likely next token is the original's",
        numeric: true,
        cell: (r) => share(r.same_top_share, r.same_top_share_stderr),
        key: (r) => r.same_top_share,
      },
      {
        head: "Perplexity",
        numeric: true,
        cell: (r) => perplexity(r.perplexity, r.perplexity_stderr),
        key: (r) => r.perplexity,
      },
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
      reference ? `KL and “same first choice” compare each model with ${reference.label}, token by token.` : "",
      " Perplexity can fall below the original's by luck, so it decides nothing here.",
    ),
    view.element,
  );
}

// Do cheap facts about the weights foretell the damage? One small scatter per fact.

import * as Plot from "@observablehq/plot";
import { figure, logAxis, logDomain, logTicks, plotStyle, tipStyle, type Frame } from "../chart";
import type { Report, WeightFact } from "../data";
import { el, p, section } from "../dom";
import { count, fixed, isNumber, number, tick } from "../format";
import { table } from "../table";
import { natsPer } from "../unit";

const FACT_NAME: Record<string, string> = {
  absmax_over_sigma: "largest weight / σ",
  excess_kurtosis: "excess kurtosis",
  sqnr_db: "SQNR, dB",
  weighted_sqnr_db: "SQNR weighted by inputs, dB",
  weight_mse: "squared weight error",
  diagonal_fisher: "diagonal Fisher screen",
  directional_fisher: "directional Fisher screen",
};
const factName = (fact: string) => FACT_NAME[fact] ?? fact.replaceAll("_", " ");

const strength = (rho: number) => {
  const size = Math.abs(rho);
  return size >= 0.8 ? "strongly" : size >= 0.5 ? "moderately" : size >= 0.3 ? "weakly" : "hardly";
};

function scatter(facts: WeightFact[], fact: string, spearman: unknown, foretold: Set<string>): HTMLElement {
  const points = facts.filter((f) => isNumber(f[fact]) && isNumber(f.kl_nats) && f.kl_nats > 0);
  const values = points.map((f) => f[fact] as number);
  const y = logDomain(points.map((f) => f.kl_nats as number))!;
  const spread = Math.max(...values) / Math.min(...values);
  const useLog = Math.min(...values) > 0 && spread > 8 && !fact.endsWith("sqnr_db");
  const x = useLog ? logDomain(values, 1.15)! : null;
  const draw = ({ width }: Frame) =>
    Plot.plot({
      width,
      height: 250,
      marginLeft: 46,
      marginRight: 12,
      marginTop: 26,
      marginBottom: 40,
      style: plotStyle,
      x: x
        ? { ...logAxis(x, `${factName(fact)} →`), ticks: logTicks(...x).slice(0, 8) }
        : { label: `${factName(fact)} →`, nice: true, inset: 6, ticks: 5, tickFormat: tick, grid: true },
      y: logAxis(y, `↑ KL, ${natsPer()}`),
      marks: [
        Plot.dot(points, {
          x: fact,
          y: "kl_nats",
          r: 3,
          fill: (f: WeightFact) => (foretold.has(f.tensor) ? "none" : "var(--mark)"),
          stroke: "var(--mark)",
          fillOpacity: 0.7,
          className: "mark-weight-facts",
        }),
        Plot.tip(
          points,
          Plot.pointer({
            ...tipStyle(width),
            x: fact,
            y: "kl_nats",
            title: (f: WeightFact) =>
              `${f.tensor}\n${factName(fact)} ${number(f[fact])}\nKL ${number(f.kl_nats)} ${natsPer()}${foretold.has(f.tensor) ? ", foretold" : ""}`,
          }),
        ),
      ],
    });
  const rho = isNumber(spearman) ? `Spearman ${fixed(spearman, 2)}: follows the damage ${strength(spearman)}.` : "";
  return figure(`${factName(fact)}.`, rho, draw);
}

export function weightFacts(report: Report): HTMLElement | null {
  const diagnosis = report.diagnosis;
  if (!diagnosis || (diagnosis.weight_facts.length === 0 && diagnosis.rank_correlation.length === 0)) return null;
  const facts = diagnosis.weight_facts;
  const foretold = new Set(diagnosis.components.filter((c) => c.foretold).map((c) => c.name));
  const asForetold = facts.filter((f) => foretold.has(f.tensor)).length;
  // A forecast compared with a forecast says nothing.
  const FEWEST = 3;
  if (facts.length > 0 && facts.length - asForetold < FEWEST && diagnosis.rank_correlation.length === 0) return null;
  const notFacts = new Set(["tensor", "layer", "role", "kl_nats"]);
  const drawable = [...new Set(facts.flatMap((f) => Object.keys(f)))].filter(
    (key) =>
      !notFacts.has(key) && facts.filter((f) => isNumber(f[key]) && isNumber(f.kl_nats) && f.kl_nats > 0).length > 1,
  );
  const spearman = new Map(diagnosis.rank_correlation.map((r) => [r.fact, r.spearman]));
  const best = diagnosis.rank_correlation
    .filter((r) => isNumber(r.spearman))
    .sort((a, b) => Math.abs(b.spearman as number) - Math.abs(a.spearman as number))[0];
  return section(
    "weight-facts",
    "Can cheap facts foretell it?",
    p(
      "Each dot is one tensor: a number that is cheap to compute, against its damage. ",
      best ? `The best predictor here is ${factName(best.fact)} (Spearman ${fixed(best.spearman as number, 2)}).` : "",
      asForetold > 0
        ? `Of ${asForetold} of ${facts.length} tensors (hollow) the damage is itself foretold, by gradients${best ? "" : ", which leaves too few to judge by: --effort exact measures all"}.`
        : "",
    ),
    drawable.length > 0 &&
      el("div", { class: "multiples" }, ...drawable.map((fact) => scatter(facts, fact, spearman.get(fact), foretold))),
    diagnosis.rank_correlation.length > 0 &&
      table(
        "Rank correlation with the measured KL: 1 or −1 foretells the order perfectly, 0 not at all",
        [
          { head: "Fact", cell: (r) => factName(r.fact) },
          {
            head: "Spearman",
            numeric: true,
            cell: (r) => (isNumber(r.spearman) ? fixed(r.spearman, 2) : number(r.spearman)),
            key: (r) => r.spearman,
          },
          { head: "Tensors", numeric: true, cell: (r) => count(r.count) },
        ],
        diagnosis.rank_correlation,
        { narrow: true },
      ).element,
  );
}

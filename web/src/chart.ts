// Charts that follow the width of their box and the colour scheme of the reader, and print in light.

import { el, type Child } from "./dom";
import { tick } from "./format";

export interface Frame {
  width: number;
  dark: boolean;
}

const redraws: (() => void)[] = [];
const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");
let printing = false;

function redrawAll(): void {
  for (const redraw of redraws) redraw();
}
darkScheme.addEventListener("change", redrawAll);
window.addEventListener("beforeprint", () => ((printing = true), redrawAll()));
window.addEventListener("afterprint", () => ((printing = false), redrawAll()));

/** A figure whose drawing is made by `draw` for the width it has; `summary` is what a screen reader says. */
export function figure(title: string, summary: string, draw: (frame: Frame) => Node, ...notes: Child[]): HTMLElement {
  const canvas = el("div", { class: "canvas" });
  let width = 0;
  const redraw = () => {
    if (width === 0) return;
    const drawing = draw({ width, dark: darkScheme.matches && !printing });
    canvas.replaceChildren(drawing);
    const svg = canvas.querySelector("svg");
    svg?.setAttribute("role", "img");
    svg?.setAttribute("aria-label", `${title} ${summary}`);
  };
  redraws.push(redraw);
  new ResizeObserver(([entry]) => {
    const next = Math.floor(entry?.contentRect.width ?? 0);
    if (next === width) return;
    width = next;
    redraw();
  }).observe(canvas);
  return el("figure", null, el("figcaption", null, el("strong", null, title), " ", summary), canvas, ...notes);
}

/** Ticks of a log axis: powers of ten over a wide span, 1-3 or 1-2-5 over a narrow one. */
export function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  const steps = decades > 3 ? [1] : decades > 1.3 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
    for (const step of steps) ticks.push(Number(`${step}e${e}`));
  return ticks.filter((t) => t >= low * 0.999 && t <= high * 1.001);
}

/** A log domain with some air around the positive values, or null when there are none. */
export function logDomain(values: number[], air = 1.25): [number, number] | null {
  const positive = values.filter((v) => v > 0 && Number.isFinite(v));
  return positive.length === 0 ? null : [Math.min(...positive) / air, Math.max(...positive) * air];
}

export function logAxis(domain: [number, number], label: string | null) {
  return {
    type: "log" as const,
    domain,
    label,
    ticks: logTicks(...domain),
    tickFormat: (v: number) => tick(v),
    grid: true,
  };
}

/** What every plot shares. */
export const plotStyle = { background: "none", fontSize: "12px", fontFamily: "inherit", overflow: "visible" };

/** Half the width of a narrow chart at most, so that a tip fits on one side of its point. */
export function tipStyle(width: number) {
  const lineWidth = width < 520 ? 13 : 26; // ems
  return { fill: "var(--paper)", stroke: "var(--rule-strong)", fontSize: 12, lineHeight: 1.25, lineWidth };
}

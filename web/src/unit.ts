// What was scored: tokens of text, or images with their class. Set once, before any section is made.

import type { Report } from "./data";

let unit = "token";

/** What only models that see are asked. */
const OF_IMAGES = ["corruptions", "attacks", "features", "out_of_distribution"];

export function setUnit(report: Report): void {
  const sees =
    report.who_pays?.entries.some((entry) => entry.unit === "image") ||
    report.reliability?.dimensions.some((dimension) => OF_IMAGES.includes(dimension.key)) ||
    (report.activations?.inputs ?? "window") !== "window";
  unit = report.diagnosis ? (report.diagnosis.unit ?? "token") : sees ? "image" : "token";
}

export const natsPer = (): string => `nats per ${unit}`;

/** "1,024 tokens", by the number as it is written. */
export const units = (written: string): string => `${written} ${unit}s`;

export const ofImages = (): boolean => unit === "image";

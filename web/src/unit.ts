// What was scored: tokens of text, or images with their class. Set once, before any section is made.

import type { Report } from "./data";

let unit = "token";

export function setUnit(report: Report): void {
  unit = report.diagnosis?.unit ?? "token";
}

export const natsPer = (): string => `nats per ${unit}`;

/** "1,024 tokens", by the number as it is written. */
export const units = (written: string): string => `${written} ${unit}s`;

export const ofImages = (): boolean => unit === "image";

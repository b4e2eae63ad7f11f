// Numbers as text: units, standard errors, powers of ten. No DOM here, so that the tests run these in Node.

export const MISSING = "–";
const NBSP = "\u00a0"; // a number stays on one line with its unit and its error
const PLUS_MINUS = `${NBSP}±${NBSP}`;
const SUPERSCRIPT: Record<string, string> = { "-": "⁻" };
for (let i = 0; i < 10; i++) SUPERSCRIPT[String(i)] = "⁰¹²³⁴⁵⁶⁷⁸⁹"[i]!;

export const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

/** toFixed with a true minus sign and no "-0.00". */
export function fixed(value: number, decimals: number): string {
  const text = Math.abs(value).toFixed(Math.min(Math.max(decimals, 0), 20));
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

const exponentOf = (value: number) => (value === 0 ? 0 : Number(Math.abs(value).toExponential().split("e")[1]));

function powerOfTen(exponent: number): string {
  return `10${[...String(exponent)].map((c) => SUPERSCRIPT[c]).join("")}`;
}

/** Three significant digits; a power of ten below 1e-4 and from 1e6 on: 0.0334, 4.25, 1.2 × 10⁻⁵. */
export function number(value: unknown, digits = 3): string {
  if (!isNumber(value)) return MISSING;
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(digits));
  const exponent = exponentOf(rounded);
  if (exponent < -4 || exponent >= 6)
    return `${fixed(rounded / 10 ** exponent, digits - 1)}${NBSP}×${NBSP}${powerOfTen(exponent)}`;
  return fixed(rounded, digits - 1 - exponent);
}

/** Shorter, for axis ticks: 0.0005, 3, 10⁻⁵. */
export function tick(value: number): string {
  const exponent = exponentOf(value);
  if (value === 0 || (exponent >= -4 && exponent < 5)) return String(Number(value.toPrecision(6))).replace("-", "−");
  const mantissa = Number((value / 10 ** exponent).toPrecision(3));
  return mantissa === 1 ? powerOfTen(exponent) : `${String(mantissa).replace("-", "−")}·${powerOfTen(exponent)}`;
}

/**
 * A value with its standard error, both to the error's first digit, or its first two when that digit is 1 or `digits` is 2:
 * 0.0334 ± 0.0002.
 */
export function measured(value: unknown, standardError: unknown, digits: 1 | 2 = 1): string {
  if (!isNumber(value)) return MISSING;
  if (!isNumber(standardError) || standardError <= 0) return number(value);
  const leading = Number(standardError.toPrecision(1)).toExponential();
  const lastPlace = Number(leading.split("e")[1]) - (leading.startsWith("1") || digits === 2 ? 1 : 0);
  const exponent = exponentOf(Math.max(Math.abs(value), standardError));
  if (exponent < -4) {
    const shown = (x: number) => fixed(x / 10 ** exponent, exponent - lastPlace);
    return `(${shown(value)}${PLUS_MINUS}${shown(standardError)})${NBSP}×${NBSP}${powerOfTen(exponent)}`;
  }
  return `${fixed(value, -lastPlace)}${PLUS_MINUS}${fixed(standardError, -lastPlace)}`;
}

/** A share in [0, 1] as per cent: 94.31 ± 0.12 %. */
export function share(value: unknown, standardError: unknown = null): string {
  if (!isNumber(value)) return MISSING;
  if (isNumber(standardError) && standardError > 0) return `${measured(100 * value, 100 * standardError)}${NBSP}%`;
  return `${fixed(100 * value, 1)}${NBSP}%`;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** The binary unit in which `largest` reads well. */
export function byteUnit(largest: number): { size: number; name: string } {
  let i = 0;
  while (i + 1 < BYTE_UNITS.length && largest >= 1024 ** (i + 1)) i++;
  return { size: 1024 ** i, name: BYTE_UNITS[i]! };
}

/** 14.1 MiB. */
export function bytes(value: unknown): string {
  if (!isNumber(value)) return MISSING;
  const unit = byteUnit(Math.abs(value));
  const scaled = value / unit.size;
  const decimals = unit.size === 1 || Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2;
  return `${fixed(scaled, decimals)}${NBSP}${unit.name}`;
}

/** 26,214,400. */
export function count(value: unknown): string {
  if (!isNumber(value)) return MISSING;
  return fixed(value, 0).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** 26.2 million, 7.24 billion; whole numbers below a million. */
export function countInWords(value: unknown): string {
  if (!isNumber(value)) return MISSING;
  if (value >= 1e9) return `${fixed(value / 1e9, 2)}${NBSP}billion`;
  return value >= 1e6 ? `${fixed(value / 1e6, 1)}${NBSP}million` : count(value);
}

/** Bits per weight: 4.25. */
export function bits(value: unknown): string {
  return isNumber(value) ? fixed(value, 2) : MISSING;
}

/** How much less `after` is than `before`: 58 %. */
export function reduction(before: number, after: number): string {
  return `${fixed(100 * (1 - after / before), 0)}${NBSP}%`;
}

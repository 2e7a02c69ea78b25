// Points in time as RFC 3339 writes them, in UTC.

import { Writer, writeByte, writeNumber } from "../memory/writer";

const MICROS_PER_DAY: u64 = 86_400_000_000;

/** Appends `nanoseconds` since 1970 as `YYYY-MM-DDThh:mm:ss.ffffffZ`. */
export function writeTime(writer: Writer, nanoseconds: u64): void {
  const micros = nanoseconds / 1000;
  writeDate(writer, u32(micros / MICROS_PER_DAY));
  const time = micros % MICROS_PER_DAY;
  const seconds = u32(time / 1_000_000);
  writeByte(writer, 0x54);
  writePadded(writer, seconds / 3600, 2);
  writeByte(writer, 0x3a);
  writePadded(writer, (seconds / 60) % 60, 2);
  writeByte(writer, 0x3a);
  writePadded(writer, seconds % 60, 2);
  writeByte(writer, 0x2e);
  writePadded(writer, u32(time % 1_000_000), 6);
  writeByte(writer, 0x5a);
}

/** The proleptic Gregorian date of a day since 1970, in years that begin with March and eras of 400 years (Howard Hinnant, `civil_from_days`). */
function writeDate(writer: Writer, day: u32): void {
  const shifted = day + 719_468;
  const era = shifted / 146_097;
  const dayOfEra = shifted % 146_097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const shiftedMonth = (5 * dayOfYear + 2) / 153;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  writePadded(writer, era * 400 + yearOfEra + u32(month <= 2), 4);
  writeByte(writer, 0x2d);
  writePadded(writer, month, 2);
  writeByte(writer, 0x2d);
  writePadded(writer, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1, 2);
}

/** A number with zeros in front, up to `digits` digits. */
function writePadded(writer: Writer, value: u32, digits: u32): void {
  let least: u32 = 1;
  for (let i: u32 = 1; i < digits; i++) least *= 10;
  while (least > 1 && value < least) {
    writeByte(writer, 0x30);
    least /= 10;
  }
  writeNumber(writer, value);
}

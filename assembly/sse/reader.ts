// The reader of event streams (HTML standard, section 9.2.6): bytes in, cut anywhere; runs of data, and the ends of
// events out. It knows nothing of what the data means, stores none of it, and its state is constant in size.

import { SSE_ID_BYTES_MAX, SSE_NAME_BYTES_MAX, SSE_RETRY_BYTES_MAX } from "../limits";
import { equalsLiteral } from "../memory/bytes";
import { isLineEnd, scanLine } from "./scan";

/** What `nextEvent` has found. */
export const enum EventStep {
  /** The chunk is used up. */
  NeedMore,
  /** A run of bytes of a `data` value stands at `runAt`. */
  Data,
  /** A further `data` line of the same event begins: the standard joins them with LF. */
  DataLine,
  /** A comment line has ended. */
  Comment,
  /** An empty line has ended the event: its fields are those of the reader, until the next step. */
  EventEnd,
}

/** Where in the grammar the next byte stands. */
const enum State {
  /** At the start of the stream: a byte order mark may stand here. */
  Start,
  /** At the start of a line. */
  Line,
  /** In a field name. */
  Name,
  /** Behind the colon: one space belongs to the syntax. */
  Space,
  Value,
  Comment,
}

const enum Field {
  Unknown,
  Data,
  Event,
  Id,
  Retry,
}

/** The longest field name that is known has five bytes. */
const NAME_ROOM: u32 = 8;
const VALUE_ROOM: u32 = SSE_ID_BYTES_MAX;
const ID_AT: u32 = NAME_ROOM;
const EVENT_AT: u32 = ID_AT + SSE_ID_BYTES_MAX;
const RETRY_AT: u32 = EVENT_AT + SSE_NAME_BYTES_MAX;
const VALUE_AT: u32 = RETRY_AT + SSE_RETRY_BYTES_MAX;

/** Bytes of the block that `initEventReader` takes. */
export const EVENT_BLOCK_BYTES: u32 = VALUE_AT + VALUE_ROOM;

@unmanaged
export class EventReader {
  cursor: usize;
  end: usize;
  block: usize;
  state: State;
  /** Bytes of the byte order mark that have been seen. */
  bomBytes: u32;
  /** A CR has ended a line: a LF that follows belongs to it. */
  isAfterCr: bool;
  /** Bytes of the field name at hand, counted beyond what fits, and the field that it names. */
  fieldBytes: u32;
  field: Field;
  /** Bytes of the value at hand, counted beyond what fits. */
  valueBytes: u32;
  /** Whether the event has ended and the next step begins another. */
  isOver: bool;
  /** Whether the event has had any field. */
  isPending: bool;

  /** The run of data that `Data` reports, inside the chunk. */
  runAt: usize;
  runBytes: u32;

  // --- The event. ---
  hasData: bool;
  hasId: bool;
  idAt: usize;
  idBytes: u32;
  hasName: bool;
  nameAt: usize;
  nameBytes: u32;
  hasRetry: bool;
  retryAt: usize;
  retryBytes: u32;
}

/** Makes a reader ready for a stream; `block` has EVENT_BLOCK_BYTES and outlives it. */
export function initEventReader(reader: EventReader, block: usize): void {
  memory.fill(changetype<usize>(reader), 0, offsetof<EventReader>());
  reader.block = block;
  reader.idAt = block + ID_AT;
  reader.nameAt = block + EVENT_AT;
  reader.retryAt = block + RETRY_AT;
}

/** The next `bytes` bytes of the stream stand at `address`, and stay there until `nextEvent` says NeedMore. */
export function openEvents(reader: EventReader, address: usize, bytes: u32): void {
  reader.cursor = address;
  reader.end = address + bytes;
}

/** The next thing that the caller must know of. */
export function nextEvent(reader: EventReader): EventStep {
  if (reader.isOver) clearEvent(reader);
  while (reader.cursor < reader.end) {
    // SAFETY: cursor < end.
    const byte = u32(load<u8>(reader.cursor));
    if (reader.isAfterCr) {
      reader.isAfterCr = false;
      if (byte == 0x0a) {
        reader.cursor++;
        continue;
      }
    }
    if (reader.state == State.Start && takeBom(reader, byte)) continue;
    if (isLineEnd(byte)) {
      reader.cursor++;
      reader.isAfterCr = byte == 0x0d;
      const step = endLine(reader);
      if (step != EventStep.NeedMore) return step;
      continue;
    }
    const step = readByte(reader, byte);
    if (step != EventStep.NeedMore) return step;
  }
  return EventStep.NeedMore;
}

/**
 * Says that the stream has ended; true when an event is pending that no empty line has ended. Of a line that has no end only
 * data counts: a part of an id would let a client resume somewhere else.
 */
export function endEvents(reader: EventReader): bool {
  if (reader.isOver) clearEvent(reader);
  if (reader.state == State.Name) nameField(reader);
  return reader.isPending;
}

/** Takes a byte of the byte order mark (EF BB BF). A part of one that is none begins no field that is known. */
function takeBom(reader: EventReader, byte: u32): bool {
  const wanted: u32 = reader.bomBytes == 0 ? 0xef : reader.bomBytes == 1 ? 0xbb : 0xbf;
  if (byte == wanted) {
    reader.cursor++;
    reader.bomBytes++;
    if (reader.bomBytes == 3) reader.state = State.Line;
    return true;
  }
  reader.state = State.Line;
  if (reader.bomBytes != 0) {
    beginField(reader);
    reader.fieldBytes = NAME_ROOM + 1;
  }
  return false;
}

function beginField(reader: EventReader): void {
  reader.state = State.Name;
  reader.fieldBytes = 0;
  reader.valueBytes = 0;
  reader.field = Field.Unknown;
}

/** Reads what is no line end. */
function readByte(reader: EventReader, byte: u32): EventStep {
  switch (reader.state) {
    case State.Line:
      if (byte == 0x3a) {
        reader.state = State.Comment;
        reader.cursor++;
      } else {
        beginField(reader);
      }
      return EventStep.NeedMore;
    case State.Name:
      reader.cursor++;
      if (byte == 0x3a) {
        reader.state = State.Space;
        return nameField(reader);
      }
      // SAFETY: fieldBytes < NAME_ROOM, the room of the name.
      if (reader.fieldBytes < NAME_ROOM) store<u8>(reader.block + reader.fieldBytes, byte);
      if (reader.fieldBytes <= NAME_ROOM) reader.fieldBytes++;
      return EventStep.NeedMore;
    case State.Space:
      reader.state = State.Value;
      if (byte == 0x20) reader.cursor++;
      return EventStep.NeedMore;
    default:
      return readRun(reader);
  }
}

/** The field's name has ended. Another line of data is reported before its bytes. */
function nameField(reader: EventReader): EventStep {
  reader.field = fieldOf(reader);
  if (reader.field == Field.Unknown) return EventStep.NeedMore;
  reader.isPending = true;
  if (reader.field != Field.Data) return EventStep.NeedMore;
  const isFurther = reader.hasData;
  reader.hasData = true;
  return isFurther ? EventStep.DataLine : EventStep.NeedMore;
}

function fieldOf(reader: EventReader): Field {
  const bytes = reader.fieldBytes;
  if (equalsLiteral(reader.block, bytes, "data")) return Field.Data;
  if (equalsLiteral(reader.block, bytes, "event")) return Field.Event;
  if (equalsLiteral(reader.block, bytes, "id")) return Field.Id;
  return equalsLiteral(reader.block, bytes, "retry") ? Field.Retry : Field.Unknown;
}

/** Reads up to the end of the line, or of the chunk. */
function readRun(reader: EventReader): EventStep {
  const start = reader.cursor;
  const at = scanLine(start, reader.end);
  reader.cursor = at;
  if (reader.state == State.Comment) return EventStep.NeedMore;
  const bytes = u32(at - start);
  if (reader.field == Field.Data) {
    reader.runAt = start;
    reader.runBytes = bytes;
    return EventStep.Data;
  }
  if (reader.field != Field.Unknown) {
    const had = min(reader.valueBytes, VALUE_ROOM);
    memory.copy(reader.block + VALUE_AT + had, start, min(bytes, VALUE_ROOM - had));
    reader.valueBytes = bytes > VALUE_ROOM ? VALUE_ROOM + 1 : min(had + bytes, VALUE_ROOM + 1);
  }
  return EventStep.NeedMore;
}

/** The line has ended: its field is one of the event, or the event has ended. */
function endLine(reader: EventReader): EventStep {
  const state = reader.state;
  reader.state = State.Line;
  if (state == State.Comment) return EventStep.Comment;
  if (state == State.Start && reader.bomBytes != 0) return EventStep.NeedMore;
  if (state == State.Line || state == State.Start) {
    if (!reader.isPending) return EventStep.NeedMore;
    reader.isOver = true;
    return EventStep.EventEnd;
  }
  // A line without a colon is a field with an empty value.
  const step = state == State.Name ? nameField(reader) : EventStep.NeedMore;
  keepValue(reader);
  return step;
}

/** Keeps the value of `event`, `id` or `retry`, if it may stand there; of several the last that may. */
function keepValue(reader: EventReader): void {
  const value = reader.block + VALUE_AT;
  const bytes = reader.valueBytes;
  switch (reader.field) {
    case Field.Id:
      if (bytes > SSE_ID_BYTES_MAX || !isPrintable(value, bytes)) return;
      memory.copy(reader.idAt, value, bytes);
      reader.idBytes = bytes;
      reader.hasId = true;
      break;
    case Field.Event:
      if (bytes > SSE_NAME_BYTES_MAX || !isPrintable(value, bytes)) return;
      memory.copy(reader.nameAt, value, bytes);
      reader.nameBytes = bytes;
      reader.hasName = true;
      break;
    case Field.Retry:
      if (bytes == 0 || bytes > SSE_RETRY_BYTES_MAX || !isDigits(value, bytes)) return;
      memory.copy(reader.retryAt, value, bytes);
      reader.retryBytes = bytes;
      reader.hasRetry = true;
      break;
    default:
      break;
  }
}

function isPrintable(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes, the caller's range.
    if (byte < 0x20 || byte >= 0x7f) return false;
  }
  return true;
}

function isDigits(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    if (u32(load<u8>(address + i)) - 0x30 > 9) return false; // SAFETY: i < bytes, the caller's range.
  }
  return true;
}

function clearEvent(reader: EventReader): void {
  reader.isOver = false;
  reader.isPending = false;
  reader.hasData = false;
  reader.hasId = false;
  reader.hasName = false;
  reader.hasRetry = false;
}

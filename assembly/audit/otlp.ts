// Records as OpenTelemetry logs: OTLP/HTTP in JSON (opentelemetry-proto, ExportLogsServiceRequest). The body of a log record is the text of ours,
// byte for byte, so that the chain can be verified behind the collector too.

import { Literal } from "../memory/bytes";
import { Writer, writeByte, writeBytes, writeLiteral, writeNumber } from "../memory/writer";

/** Before and behind the log records of a batch. */
export const BATCH_HEAD: Literal =
  '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"mcp-guard"}}]},"scopeLogs":[{"scope":{"name":"mcp-guard"},"logRecords":[';
export const BATCH_TAIL: Literal = "]}]}]}";

/** Appends one log record: `text` is a record of ours, of printable ASCII. */
export function writeLogRecord(
  writer: Writer,
  time: u64,
  name: Literal,
  isWarning: bool,
  idAt: usize,
  idBytes: u32,
  number: u64,
  text: Writer,
): void {
  writeLiteral(writer, '{"timeUnixNano":"');
  writeNumber(writer, time);
  writeLiteral(writer, '","severityNumber":');
  // SeverityNumber: 9 INFO, 13 WARN.
  writeLiteral(writer, isWarning ? '13,"severityText":"WARN"' : '9,"severityText":"INFO"');
  writeLiteral(writer, ',"eventName":"');
  writeLiteral(writer, name);
  writeLiteral(writer, '","attributes":[{"key":"event.id","value":{"stringValue":"');
  writeBytes(writer, idAt, idBytes);
  writeByte(writer, 0x2e);
  writeNumber(writer, number);
  writeLiteral(writer, '"}}],"body":{"stringValue":"');
  for (let i: u32 = 0; i < text.length; i++) {
    const byte = u32(load<u8>(text.start + i)); // SAFETY: i < length.
    if (byte == 0x22 || byte == 0x5c) writeByte(writer, 0x5c);
    writeByte(writer, byte);
  }
  writeLiteral(writer, '"}}');
}

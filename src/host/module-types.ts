import { HostError } from "./host-error.ts";

/** A function of a module's interface: parameters and results, `i` for i32, `I` for i64, `f`, `F`, else `?`. */
export interface FunctionType {
  readonly parameters: string;
  readonly results: string;
}

/** The function imports and exports of a module with their types; JavaScript's own reflection does not show types. */
export interface ModuleTypes {
  /** Key: `module.name`. */
  readonly imports: ReadonlyMap<string, FunctionType>;
  readonly exports: ReadonlyMap<string, FunctionType>;
}

const SECTION = { Type: 1, Import: 2, Function: 3, Export: 7 } as const;
const KIND = { Function: 0, Table: 1, Memory: 2, Global: 3 } as const;
const VALUE_TYPES: Readonly<Record<number, string>> = { 127: "i", 126: "I", 125: "f", 124: "F" };

/** Reads the interface of a Wasm binary that the engine has already accepted (WebAssembly core, binary format 5.5). */
export function moduleTypes(binary: Uint8Array): ModuleTypes {
  const types: FunctionType[] = [];
  const functions: FunctionType[] = [];
  const imports = new Map<string, FunctionType>();
  const exports = new Map<string, FunctionType>();
  const reader = new Reader(binary, 8);
  while (reader.offset < binary.length) {
    const section = reader.byte();
    const end = reader.u32() + reader.offset;
    if (section === SECTION.Type) {
      reader.vector(() => {
        if (reader.byte() !== 0x60) throw new HostError("ERR_MODULE", "a type that is not a function type");
        types.push({ parameters: reader.valueTypes(), results: reader.valueTypes() });
      });
    } else if (section === SECTION.Import) {
      reader.vector(() => {
        const name = `${reader.name()}.${reader.name()}`;
        const type = reader.importType(types);
        if (type === undefined) return;
        functions.push(type);
        imports.set(name, type);
      });
    } else if (section === SECTION.Function) {
      reader.vector(() => functions.push(types[reader.u32()]!));
    } else if (section === SECTION.Export) {
      reader.vector(() => {
        const name = reader.name();
        const kind = reader.byte();
        const index = reader.u32();
        if (kind === KIND.Function) exports.set(name, functions[index]!);
      });
    }
    reader.offset = end;
  }
  return { imports, exports };
}

class Reader {
  readonly #bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  byte(): number {
    return this.#bytes[this.offset++]!;
  }

  /** An unsigned LEB128 number. */
  u32(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  name(): string {
    const length = this.u32();
    this.offset += length;
    return Buffer.from(this.#bytes.subarray(this.offset - length, this.offset)).toString("utf8");
  }

  vector(element: () => void): void {
    for (let count = this.u32(); count > 0; count--) element();
  }

  valueTypes(): string {
    let text = "";
    this.vector(() => {
      text += VALUE_TYPES[this.byte()] ?? "?";
    });
    return text;
  }

  /** The type of an imported function; undefined, and skipped, for tables, memories and globals. */
  importType(types: readonly FunctionType[]): FunctionType | undefined {
    const kind = this.byte();
    if (kind === KIND.Function) return types[this.u32()];
    if (kind === KIND.Table) this.byte();
    if (kind === KIND.Global) {
      this.offset += 2;
      return undefined;
    }
    const hasMaximum = (this.byte() & 1) === 1;
    this.u32();
    if (hasMaximum) this.u32();
    return undefined;
  }
}

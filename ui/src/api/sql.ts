import { asArray, asRecord, asText, quoteLongIntegers } from './client';

export interface SqlAnswer {
  columns: { name: string; type: string }[];
  /** Integers too long for a JavaScript number are strings; what a value is, its column's type says. */
  rows: unknown[][];
  /** True when the answer goes on behind these rows. */
  cut: boolean;
}

/** Where the rows stand in `{"columns":[…],"rows":[[…],…]}`: so many brackets are open inside one. */
const ROW_DEPTH = 3;
const OUTSIDE = /["[\]{}]/g;
const IN_TEXT = /["\\]/g;

/** Reads the answer as it arrives, a row at a time: an answer of any size can be stopped, and what came of it is rows. */
export class SqlReader {
  private rest = '';
  private at = 0;
  private depth = 0;
  private inText = false;
  private rowFrom = 0;
  private head: string | undefined;
  private readonly rows: unknown[][] = [];
  private full = false;

  constructor(private readonly rowsMax: number) {}

  /** False when no more rows are taken. Throws a `SyntaxError` when this is not JSON. */
  push(text: string): boolean {
    this.rest += text;
    while (!this.full) {
      const next = this.inText ? IN_TEXT : OUTSIDE;
      next.lastIndex = this.at;
      const char = next.exec(this.rest)?.[0];
      if (char === undefined) {
        // A backslash at the end of this piece has already stepped over the character to come.
        this.at = Math.max(this.at, this.rest.length);
        break;
      }
      this.at = next.lastIndex - 1;
      if (char === '"') this.inText = !this.inText;
      else if (char === '\\') this.at++;
      else if (char === '[' || char === '{') {
        this.depth++;
        if (char === '[' && this.depth === ROW_DEPTH) this.open();
      } else {
        if (char === ']' && this.depth === ROW_DEPTH) this.close();
        this.depth--;
      }
      this.at++;
    }
    if (this.head !== undefined) this.drop();
    return !this.full;
  }

  /** `stopped`: the rest was not read, so an end that is missing is no mistake. */
  answer(stopped: boolean): SqlAnswer {
    const cut = this.full || (stopped && this.depth > 0);
    if (!cut && this.depth > 0) throw new SyntaxError('the answer broke off');
    const { columns } = asRecord(JSON.parse(this.head === undefined ? this.rest : `${this.head}]}`));
    return {
      columns: asArray(columns, '/api/tyto/v1/sql', 'columns').map((column) => ({
        name: asText(asRecord(column).name),
        type: asText(asRecord(column).type),
      })),
      rows: this.rows,
      cut,
    };
  }

  private open(): void {
    // A row more than are taken: only now is it known that the answer goes on.
    if (this.rows.length === this.rowsMax) this.full = true;
    this.head ??= this.rest.slice(0, this.at);
    this.rowFrom = this.at;
  }

  private close(): void {
    this.rows.push(JSON.parse(quoteLongIntegers(this.rest.slice(this.rowFrom, this.at + 1))) as unknown[]);
    this.rowFrom = this.at + 1;
  }

  /** What has become rows need not be kept as text. */
  private drop(): void {
    this.rest = this.rest.slice(this.rowFrom);
    this.at -= this.rowFrom;
    this.rowFrom = 0;
  }
}

import { ArrowDown, ArrowUp } from "lucide-react";
import { useMemo, type KeyboardEvent, type MouseEvent, type ReactNode } from "react";

import { download, toCsv, type CsvValue } from "@/format/csv";
import { go } from "@/state/location";
import type { View } from "@/state/view";

import { cn, TableBody, TableCell, TableHead, TableHeader, TableRow } from "./kit";
import { Link } from "./link";
import { nextSort, sorted, type Sort } from "./sorting";
import { useTableState } from "./table-state";

export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  readonly numeric?: boolean;
  /** The full value: sorts, goes to CSV, and is shown on hover where `show` rounds. */
  readonly value: (row: Row) => CsvValue;
  readonly show?: (row: Row) => ReactNode;
  readonly hint?: (row: Row) => string;
  readonly className?: string;
}

interface Props<Row> {
  /** Its name in the URL and of its CSV file. */
  readonly name: string;
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  readonly defaultSort: string;
  /** Where a row leads; its first column then is the link. */
  readonly to?: (row: Row) => View;
  readonly empty: ReactNode;
  readonly className?: string;
}

export function DataTable<Row>({ name, label, columns, rows, rowKey, defaultSort, to, empty, className }: Props<Row>) {
  const { sort, setSort } = useTableState(name, defaultSort);
  const ordered = useMemo(() => {
    const column = columns.find(({ key }) => key === sort.key) ?? columns[0];
    return column === undefined ? rows : sorted(rows, column.value, sort.direction);
  }, [rows, columns, sort.key, sort.direction]);

  return (
    // Focusable, because a region that scrolls must scroll by keyboard too.
    <div role="group" aria-label={`${label}, scrollable`} tabIndex={0} className={cn("w-full overflow-auto", className)}>
      <table className="w-full text-sm" aria-label={label}>
        <TableHeader>
          <TableRow className="hover:bg-transparent">
            {columns.map((column) => (
              <ColumnTitle key={column.key} table={name} column={column} sort={sort} onSort={setSort} />
            ))}
          </TableRow>
        </TableHeader>
        <TableBody onKeyDown={to === undefined ? undefined : moveBetweenRows}>
          {ordered.map((row) => (
            <Line key={rowKey(row)} name={name} row={row} columns={columns} to={to?.(row)} />
          ))}
        </TableBody>
      </table>
      {rows.length === 0 && <div className="p-6 text-center text-muted-foreground">{empty}</div>}
    </div>
  );
}

interface TitleProps<Row> {
  readonly table: string;
  readonly column: Column<Row>;
  readonly sort: Sort;
  readonly onSort: (sort: Sort) => void;
}

function ColumnTitle<Row>({ table, column, sort, onSort }: TitleProps<Row>) {
  const numeric = column.numeric === true;
  const active = sort.key === column.key;
  const Arrow = sort.direction === "ascending" ? ArrowUp : ArrowDown;
  return (
    <TableHead
      aria-sort={active ? sort.direction : "none"}
      className={cn("h-9 px-1 text-xs first:pl-3 last:pr-3", numeric && "text-right", column.className)}
    >
      <button
        type="button"
        data-track-id={`${table}-sort-${column.key}`}
        onClick={() => onSort(nextSort(sort, column.key, numeric))}
        className={cn(
          "inline-flex h-7 items-center gap-1 rounded px-1 font-medium hover:bg-muted",
          active ? "text-foreground" : "text-muted-foreground",
          numeric && "flex-row-reverse",
        )}
      >
        {column.title}
        <Arrow aria-hidden className={cn("size-3.5", !active && "invisible")} />
      </button>
    </TableHead>
  );
}

interface LineProps<Row> {
  readonly name: string;
  readonly row: Row;
  readonly columns: readonly Column<Row>[];
  readonly to: View | undefined;
}

function Line<Row>({ name, row, columns, to }: LineProps<Row>) {
  const open = (event: MouseEvent<HTMLElement>) => {
    if (to === undefined || (event.target as Element).closest("a, button") !== null) return;
    // Somebody who marks text to copy it does not want to leave.
    if (window.getSelection()?.isCollapsed === false) return;
    go(to);
    window.scrollTo({ top: 0 });
  };
  return (
    <TableRow onClick={open} className={cn("transition-none", to !== undefined && "cursor-pointer")}>
      {columns.map((column, index) => {
        const shown = column.show?.(row) ?? column.value(row);
        return (
          <TableCell
            key={column.key}
            title={column.hint?.(row)}
            className={cn("h-9 px-2 py-1 first:pl-4 last:pr-4", column.numeric === true && "text-right", column.className)}
          >
            {index === 0 && to !== undefined ? (
              <Link to={to} data-row data-track-id={`${name}-row`} className="text-link hover:underline">
                {shown}
              </Link>
            ) : (
              shown
            )}
          </TableCell>
        );
      })}
    </TableRow>
  );
}

/** Arrow keys walk the rows' links, Home and End jump. */
function moveBetweenRows(event: KeyboardEvent<HTMLElement>): void {
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-row]")];
  const at = links.findIndex((link) => link === document.activeElement);
  if (at < 0) return;
  const target = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  links[target]?.focus();
}

/** Every row and column of a table with full values, whatever is shown of it. */
export function downloadTable<Row>(name: string, columns: readonly Column<Row>[], rows: readonly Row[]): void {
  const csv = toCsv(
    columns.map(({ key }) => key),
    rows.map((row) => columns.map((column) => column.value(row))),
  );
  download(`lakepulse-${name}.csv`, csv);
}

import { ChevronDown } from "lucide-react";

import { cn } from "./kit";

export interface Option {
  readonly value: string;
  readonly text: string;
}

interface Props {
  readonly label: string;
  readonly value: string;
  readonly options: readonly Option[];
  readonly onChange: (value: string) => void;
  readonly className?: string;
}

/** The browser's own list: it works with every keyboard, reader and phone, and needs no script. */
export function Select({ label, value, options, onChange, className }: Props) {
  const known = options.some((option) => option.value === value);
  return (
    <span className={cn("relative inline-flex min-w-0", className)}>
      <select
        aria-label={label}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        className="h-8 w-full min-w-0 appearance-none truncate rounded-md border border-input bg-card pr-7 pl-2.5 text-sm"
      >
        {!known && <option value={value}>{value}</option>}
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
      <ChevronDown aria-hidden className="pointer-events-none absolute top-2 right-2 size-4 text-muted-foreground" />
    </span>
  );
}

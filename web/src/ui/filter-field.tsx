import { Search } from "lucide-react";

import { Input, Kbd } from "./kit";

interface Props {
  readonly label: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
}

/** The field that `/` goes to. Escape empties it, then leaves it. */
export function FilterField({ label, value, onChange }: Props) {
  return (
    <span className="relative inline-flex items-center">
      <Search aria-hidden className="pointer-events-none absolute left-2 size-3.5 text-muted-foreground" />
      <Input
        data-filter
        type="text"
        aria-label={label}
        placeholder="filter"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          if (value === "") event.currentTarget.blur();
          else onChange("");
        }}
        className="h-8 w-36 bg-card pr-7 pl-7 text-sm md:text-sm"
      />
      {value === "" && <Kbd className="pointer-events-none absolute right-1.5">/</Kbd>}
    </span>
  );
}

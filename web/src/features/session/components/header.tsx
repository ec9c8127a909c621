import { Moon, Sun } from "lucide-react";

import { useView } from "@/state/location";
import { useTheme } from "@/state/theme";
import { onPage, type Page } from "@/state/view";
import { Button, cn } from "@/ui/kit";
import { Link } from "@/ui/link";
import { Select } from "@/ui/select";

interface Props {
  readonly user: string | null;
  readonly apps: readonly string[];
  readonly admin: boolean;
}

const menu: readonly { page: Page; text: string; holds: readonly Page[]; admin?: true }[] = [
  { page: "metrics", text: "Metrics", holds: ["metrics", "endpoint", "requests"] },
  { page: "usage", text: "Usage", holds: ["usage", "event"] },
  { page: "pipeline", text: "Pipeline", holds: ["pipeline", "dead"], admin: true },
  { page: "apps", text: "Apps", holds: ["apps"], admin: true },
];

export function Header({ user, apps, admin }: Props) {
  const { view, change } = useView();
  const all = admin ? [{ value: "", text: "All apps" }] : [];
  const choices = [...all, ...apps.map((app) => ({ value: app, text: app }))];
  return (
    <header className="border-b bg-card">
      <div className="mx-auto flex min-h-12 max-w-[1760px] flex-wrap items-center gap-x-4 gap-y-1 px-4 py-1.5 sm:px-6">
        <Link to={onPage(view, "metrics")} className="flex items-center gap-2 font-semibold">
          <img src="/icon.svg" alt="" width="22" height="22" />
          Lakepulse
        </Link>
        <nav aria-label="Pages" className="flex items-center">
          {menu.filter((entry) => admin || entry.admin !== true).map(({ page, text, holds }) => (
            <Link
              key={page}
              to={onPage(view, page)}
              aria-current={holds.includes(view.page) ? "page" : undefined}
              className={cn(
                "rounded-md px-2.5 py-1.5 text-muted-foreground hover:bg-muted hover:text-foreground",
                holds.includes(view.page) && "bg-accent font-medium text-accent-foreground",
              )}
            >
              {text}
            </Link>
          ))}
        </nav>
        <div className="ml-auto flex min-w-0 items-center gap-2">
          {(apps.length > 1 || view.app !== "") && (
            <Select label="App" value={view.app} options={choices} onChange={(app) => change({ app })} className="max-w-44" />
          )}
          <ThemeToggle />
          {user !== null && (
            <span className="hidden max-w-56 truncate text-muted-foreground md:inline" title={user}>
              {user}
            </span>
          )}
        </div>
      </div>
    </header>
  );
}

function ThemeToggle() {
  const { theme, toggle } = useTheme();
  const label = theme === "dark" ? "Use the light theme" : "Use the dark theme";
  return (
    <Button variant="ghost" size="icon-sm" aria-label={label} title={label} onClick={toggle}>
      {theme === "dark" ? <Sun aria-hidden /> : <Moon aria-hidden />}
    </Button>
  );
}

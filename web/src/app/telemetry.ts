import { init, page } from "@lakepulse/tracker";

import { parseView } from "@/state/view";

/** All pages share one path, so events name the page by the view that is open. */
const pageName = () => `/${parseView(window.location.search).page}`;

/** The dashboard is an app like any other: its own page views and clicks are the first an installation shows. */
export function measureItself(): void {
  init({ app: "lakepulse", link: "/api/", before: (event) => ({ ...event, page_name: pageName() }) });
}

let seen = pageName();

/** Tells of a page view when the open page is another one than last time. */
export function pageShown(): void {
  const name = pageName();
  if (name === seen) return;
  seen = name;
  page();
}

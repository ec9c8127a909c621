import type { AnchorHTMLAttributes, MouseEvent } from "react";

import { go, href } from "@/state/location";
import type { View } from "@/state/view";

interface Props extends AnchorHTMLAttributes<HTMLAnchorElement> {
  readonly to: View;
}

/** A real link, so that it can be opened beside, copied and read aloud; a plain click stays on the page. */
export function Link({ to, onClick, children, ...rest }: Props) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
    window.scrollTo({ top: 0 });
  };
  return (
    <a {...rest} href={href(to)} onClick={follow}>
      {children}
    </a>
  );
}

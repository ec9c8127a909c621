import { createContext, useContext } from "react";

import { defaultLimits, type Limits } from "./range";

/** What the pages need to know of who is looking; defaults until the server has said. */
export interface Viewer {
  /** No sign-in here: everybody on this machine is the administrator. */
  readonly development: boolean;
  readonly limits: Limits;
}

export const defaultViewer: Viewer = { development: false, limits: defaultLimits };

export const ViewerContext = createContext<Viewer>(defaultViewer);

export const useViewer = (): Viewer => useContext(ViewerContext);

import { createContext, useContext } from "react";

import { defaultLimits, type Limits } from "./range";

/** What the pages need to know of who is looking; defaults until the server has said. */
export interface Viewer {
  /** No sign-in here: everybody on this machine is the administrator. */
  readonly development: boolean;
  readonly limits: Limits;
  /** Administrators see every app, the pipeline and the administration. */
  readonly admin: boolean;
  /** The apps that somebody who is no administrator may read. */
  readonly readableApps: readonly string[];
}

export const defaultViewer: Viewer = { development: false, limits: defaultLimits, admin: true, readableApps: [] };

export const ViewerContext = createContext<Viewer>(defaultViewer);

export const useViewer = (): Viewer => useContext(ViewerContext);

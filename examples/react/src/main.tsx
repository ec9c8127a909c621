import { init } from "@lakepulse/tracker";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Shop } from "./shop.tsx";

// The line. Before React renders, so that the first page view and click are seen too.
init({ appVersion: "1.0.0", interval: 2_000, link: "/api/" });

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Shop />
  </StrictMode>,
);

import { reconcile, track, type Reconciliation } from "@lakepulse/tracker";
import { useEffect, useState, type FormEvent } from "react";

/** Routes as any router does: by the History API, which is all the tracker needs to see page views. */
function usePath(): [string, (to: string) => void] {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const follow = () => setPath(location.pathname);
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  return [
    path,
    (to) => {
      history.pushState(null, "", to);
      setPath(to);
    },
  ];
}

export function Shop() {
  const [path, go] = usePath();
  const [answer, setAnswer] = useState("");
  const [account, setAccount] = useState<Reconciliation>();

  // Requests that a click starts name the click: nothing is to be done for it.
  const ask = async (url: string) => {
    const response = await fetch(url);
    setAnswer(`${response.status} ${await response.text()}`);
  };
  const search = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const started = performance.now();
    const response = await fetch("/api/orders");
    const took = Math.round(performance.now() - started);
    track("query_executed", { success: response.ok, metadata: { took_ms: took } });
    setAnswer(`${response.status} in ${took} ms`);
  };

  return (
    <main style={{ font: "1rem/1.5 system-ui, sans-serif", maxWidth: "40rem", margin: "3rem auto" }}>
      <h1>A small shop</h1>
      <nav>
        {["/", "/orders", "/about"].map((to) => (
          <button key={to} data-track-id={`go ${to}`} aria-current={path === to ? "page" : undefined} onClick={() => go(to)}>
            {to}
          </button>
        ))}
      </nav>
      <p>
        <button data-track-id="open-order" onClick={() => void ask("/api/orders/2")}>Open order 2</button>
        <button data-track-id="open-missing" onClick={() => void ask("/api/orders/9")}>Open order 9</button>
      </p>
      <form data-track-id="search" onSubmit={(event) => void search(event)}>
        <input name="q" aria-label="Search" placeholder="Nobody learns what is typed here" />
        <button data-track-id="search-button">Search</button>
      </form>
      <p>
        <button data-track-id="reconcile" onClick={() => void reconcile().then(setAccount)}>Compare sent with stored</button>
      </p>
      <output aria-live="polite">{account ? JSON.stringify(account) : answer}</output>
    </main>
  );
}

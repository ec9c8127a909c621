import { useView } from "@/state/location";

import { formatSort, parseSort, type Sort } from "./sorting";

/** Sort and filter of one table, kept in the URL under its name. */
export function useTableState(name: string, defaultSort: string) {
  const { view, change } = useView();
  const setSort = (sort: Sort) => {
    const text = formatSort(sort);
    change({ sort: { ...view.sort, [name]: text === defaultSort ? "" : text } }, "replace");
  };
  const setFilter = (text: string) => change({ filter: { ...view.filter, [name]: text } }, "replace");
  return {
    sort: parseSort(view.sort[name] ?? defaultSort),
    setSort,
    filter: view.filter[name] ?? "",
    setFilter,
  };
}

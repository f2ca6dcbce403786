/** The filters of the history, between its form, the page's address and the service. */

const NAMES = ["nome", "decisao", "perfil", "de", "ate"];

export const PAGE_SIZE = 20;

/** The filters that an address carries, by name; empty and foreign ones are left out. */
export function filtersFrom(search) {
  const given = new URLSearchParams(search);
  return Object.fromEntries(
    NAMES.map((name) => [name, given.get(name)]).filter(([, text]) => text),
  );
}

/** The query for one page of the list; `cursor` is where the page before it ended. */
export function pageQuery(filters, cursor = null) {
  const query = new URLSearchParams({ limite: PAGE_SIZE, ...filters });
  if (cursor) query.set("cursor", cursor);
  return query.toString();
}

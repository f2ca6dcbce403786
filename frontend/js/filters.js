/** The filters of the history, between its form, the page's address and the service. */

export const FILTERS = ["nome", "decisao", "perfil", "de", "ate"];

export const PAGE_SIZE = 20;

/**
 * The filters that an address or a form's data carries, by name; empty and foreign ones are left
 * out.
 */
export function filtersFrom(source) {
  const given = new URLSearchParams(source);
  return Object.fromEntries(
    FILTERS.map((name) => [name, given.get(name)]).filter(([, text]) => text),
  );
}

/**
 * The filters of the page that is shown. They stand in the part of its address that browsers keep to
 * themselves, since a name in the rest is written down by every proxy; in older addresses, in the rest.
 */
export const shownFilters = () => filtersFrom(location.hash.slice(1) || location.search);

/** The address of the list under these filters. */
export function listAddress(filters) {
  const query = new URLSearchParams(filters).toString();
  return query ? `/historico.html#${query}` : "/historico.html";
}

/** What to ask for one page of the list; `cursor` is where the page before it ended. */
export function pageQuery(filters, cursor = null) {
  const { perfil, ...others } = filters;
  return {
    limite: PAGE_SIZE,
    ...others,
    ...(perfil && { perfil: Number(perfil) }),
    ...(cursor && { cursor }),
  };
}

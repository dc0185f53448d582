// <related-articles article="ID"> or <related-articles url="ADDRESS"> holds that page's list, as plain HTML.
// docs/placing.md tells what else it understands.
(() => {
  const HERE = document.currentScript?.src ?? document.baseURI;
  const PASSED_ON = "limit profile category published_after published_before exclude min_score include".split(" ");
  const PATIENCE_MS = 5000; // what comes later would move a page that is being read

  async function ask(address) {
    const answer = await fetch(address, { credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(answer.statusText);
    return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("aside.related-articles");
  }

  class RelatedArticles extends HTMLElement {
    static observedAttributes = ["article", "url"];
    connectedCallback() { this.#load(); }
    attributeChangedCallback() { if (this.isConnected) this.#load(); }

    async #load() {
      const address = this.#wanted();
      if (!address || address === this.asked) return;
      this.asked = address;
      this.list?.remove();
      const list = await ask(address).catch(() => undefined); // undefined: no answer; null: nothing to show
      if (address !== this.asked) return;
      this.list = list;
      if (list !== undefined) this.replaceChildren(...(list ? [list] : []));
      this.hidden = !this.innerHTML.trim();
      if (!list) return;
      const tell = (what, more) => {
        const { recommendationId: recommendation_id, variant } = list.dataset; // variant: of an A/B test, if any
        const detail = { recommendation_id, ...(variant && { variant }), ...more };
        this.dispatchEvent(new CustomEvent(`related-articles:${what}`, { bubbles: true, detail }));
      };
      list.onclick = list.onauxclick = ({ target, button }) => {
        const link = target.closest("a[data-id]");
        if (link && button < 2) tell("click", { id: link.dataset.id, position: Number(link.dataset.position) });
      };
      tell("shown");
    }

    #wanted() {
      const by = ["article", "url"].find((name) => this.hasAttribute(name));
      if (!by) return null;
      const base = new URL(this.getAttribute("src")?.replace(/\/*$/, "/") ?? ".", HERE);
      const id = by === "article" ? `${encodeURIComponent(this.getAttribute(by))}/` : "";
      const address = new URL(`v1/articles/${id}related.html`, base);
      for (const name of id ? PASSED_ON : ["url", ...PASSED_ON])
        if (this.hasAttribute(name)) address.searchParams.set(name, this.getAttribute(name));
      return address.href;
    }
  }

  if (!customElements.get("related-articles")) customElements.define("related-articles", RelatedArticles);
})();

// A table that is wider than a phone: each row becomes a card, in which every cell stands behind the name of its column.
// The names are those of the table's head. A table with cells that span others, or with very many rows, scrolls sideways
// and says so; so does a figure that keeps a readable size.
(() => {
    const LONGEST = 40;
    const phone = matchMedia("(max-width: 600px)");

    function names(table) {
        const found = [];
        for (const row of table.tHead.rows)
            for (const cell of row.cells)
                found[cell.cellIndex] = [found[cell.cellIndex], cell.innerText.trim()].filter(Boolean).join(" ");
        return found;
    }

    function fit(table) {
        const edge = table.closest("article").getBoundingClientRect().right;
        if (!phone.matches || table.getBoundingClientRect().right <= edge + 1) return;
        if (table.matches(".cards, .scroll-hint + *")) return;
        const rows = [...table.tBodies].flatMap(body => [...body.rows]);
        if (table.querySelector("[colspan], [rowspan]") || rows.length > LONGEST) {
            table.insertAdjacentHTML("beforebegin", '<p class="scroll-hint">This table scrolls sideways →</p>');
            return;
        }
        const columns = names(table);
        for (const row of rows)
            for (const cell of row.cells)
                if (cell.cellIndex) cell.dataset.label = columns[cell.cellIndex];
        table.classList.add("cards");
    }

    function hint(image) {
        const output = image.closest(".cell_output");
        const wider = phone.matches && output.scrollWidth > output.clientWidth + 1 && image.width > output.clientWidth;
        if (wider && !output.matches(".scroll-hint + *"))
            output.insertAdjacentHTML("beforebegin", '<p class="scroll-hint">This figure scrolls sideways →</p>');
    }

    addEventListener("DOMContentLoaded", () => {
        // also called when a fold or a tab opens, and when the phone is turned
        const observer = new ResizeObserver(changes => changes.forEach(change => fit(change.target)));
        for (const table of document.querySelectorAll("article table:has(> thead)"))
            if (!table.closest(".verdict-explorer, .frontier, .theory-map")) observer.observe(table);
        const figures = new ResizeObserver(changes => changes.forEach(change => hint(change.target)));
        for (const image of document.querySelectorAll("article div.cell_output img")) figures.observe(image);
    });
})();

// Paper is light, also for a reader who reads in the dark.
(() => {
    const root = document.documentElement;
    let read;
    addEventListener("beforeprint", () => {
        read = root.dataset.theme;
        root.dataset.theme = "light";
    });
    addEventListener("afterprint", () => {
        root.dataset.theme = read;
    });
})();

/// The one CSS file of the web admin; light and dark, from 320 px up.
enum StyleSheet {
    static let text = base + frame + parts + tables + forms
    /// Changes with the text, so that browsers may keep it for long.
    static let version = String(
        text.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 },
        radix: 36
    )

    private static let base = """
        :root{color-scheme:light dark;--paper:#f6f6f3;--surface:#fff;--raised:#fbfbf9;--ink:#1b1d1c;
        --muted:#5b625f;--line:#e2e3dd;--accent:#0a655c;--accent-ink:#fff;--accent-soft:#e3f0ee;
        --good:#1d7a46;--good-soft:#e4f3e9;--warn:#8a5a00;--warn-soft:#faf0da;--bad:#b3261e;
        --bad-soft:#fbe9e7;--focus:#0a655c;--radius:10px;
        --sans:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,
        sans-serif;
        --mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
        @media (prefers-color-scheme:dark){:root{--paper:#111413;--surface:#191d1b;--raised:#1e2321;
        --ink:#e8ebe9;--muted:#a0a9a5;--line:#2c3330;--accent:#63c9bb;--accent-ink:#06201d;
        --accent-soft:#17302c;--good:#6fce95;--good-soft:#16301f;--warn:#e5b85c;--warn-soft:#33290f;
        --bad:#f2938c;--bad-soft:#391b18;--focus:#63c9bb}}
        *,*::before,*::after{box-sizing:border-box}
        html{font-size:100%;-webkit-text-size-adjust:100%}
        body{margin:0;background:var(--paper);color:var(--ink);font:0.9375rem/1.55 var(--sans);
        text-rendering:optimizeLegibility;font-variant-numeric:tabular-nums}
        h1,h2,h3{line-height:1.2;letter-spacing:-0.012em;font-weight:620;margin:0}
        h1{font-size:1.625rem}h2{font-size:1.0625rem}h3{font-size:0.9375rem}
        p{margin:0 0 .75rem}a{color:var(--accent);text-underline-offset:.18em}
        a:hover{text-decoration-thickness:2px}
        :focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:4px}
        code,kbd,pre{font-family:var(--mono);font-size:.875em}
        pre{background:var(--raised);border:1px solid var(--line);border-radius:8px;
        padding:.75rem 1rem;
        overflow-x:auto;margin:0 0 .75rem}
        .muted{color:var(--muted)}.small{font-size:.8125rem}.nowrap{white-space:nowrap}
        .break{overflow-wrap:anywhere}
        .visually-hidden{position:absolute;width:1px;height:1px;overflow:hidden;
        clip-path:inset(50%);
        white-space:nowrap}
        .skip{position:absolute;left:-999px;top:.5rem;background:var(--surface);
        padding:.5rem .75rem;
        border-radius:8px;z-index:2}.skip:focus{left:.5rem}

        """

    private static let frame = """
        .shell{display:grid;grid-template-columns:15rem minmax(0,1fr);min-height:100vh}
        .side{background:var(--surface);border-right:1px solid var(--line);padding:1.25rem .875rem;
        display:flex;flex-direction:column;gap:1.25rem;position:sticky;top:0;height:100vh;
        overflow:auto}
        .brand{display:flex;align-items:center;gap:.625rem;padding:0 .5rem;color:var(--ink);
        text-decoration:none;font-weight:650;letter-spacing:-0.01em;min-width:0}
        .brand svg{width:1.75rem;height:1.75rem;flex:none;color:var(--accent)}
        .brand small{display:block;font-weight:450;color:var(--muted);letter-spacing:0;
        overflow-wrap:anywhere}
        .nav ul{list-style:none;margin:0;padding:0;display:grid;gap:2px}
        .nav a{display:block;padding:.5rem .625rem;border-radius:8px;color:var(--muted);
        text-decoration:none;font-weight:500}
        .nav a:hover{background:var(--raised);color:var(--ink)}
        .nav a[aria-current=page]{background:var(--accent-soft);color:var(--accent);font-weight:600}
        .who{margin-top:auto;border-top:1px solid var(--line);padding:.875rem .5rem 0;
        font-size:.8125rem;color:var(--muted)}.who form{margin-top:.5rem}
        .main{padding:2rem clamp(1rem,4vw,3rem) 4rem;min-width:0}
        .main>*{max-width:76rem}
        .head{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:flex-end;
        justify-content:space-between;margin-bottom:1.5rem}
        .head p{margin:.375rem 0 0;color:var(--muted);max-width:44rem}
        .crumb{font-size:.8125rem;margin-bottom:.375rem}
        @media (max-width:56rem){.shell{display:block}
        .side{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line);
        padding:.875rem 1rem;gap:.75rem}
        .nav ul{display:flex;flex-wrap:wrap;gap:.25rem}.nav a{padding:.375rem .625rem}
        .who{margin:0;border:0;padding:0;display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;
        justify-content:space-between}.who form{margin:0}.main{padding-top:1.25rem}}
        .alone{min-height:100vh;display:grid;place-items:center;padding:1.5rem}
        .alone>main{width:100%;max-width:25rem}
        .alone .brand{justify-content:center;padding:0;margin-bottom:1.5rem;font-size:1.125rem}

        """

    private static let parts = """
        .card{background:var(--surface);border:1px solid var(--line);border-radius:var(--radius);
        padding:1.25rem;margin-bottom:1.25rem}
        .card>h2{margin-bottom:.75rem}
        .grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:1rem;
        margin-bottom:1.25rem}
        .stat{background:var(--surface);border:1px solid var(--line);border-radius:var(--radius);
        padding:1rem 1.125rem;text-decoration:none;color:var(--ink);display:block}
        a.stat:hover{border-color:var(--accent)}
        .stat b{display:block;font-size:1.75rem;font-weight:620;letter-spacing:-0.02em;
        line-height:1.15}
        .stat span{color:var(--muted);font-size:.8125rem}
        .pill{display:inline-flex;align-items:center;gap:.375rem;font-size:.8125rem;font-weight:550;
        padding:.0625rem .5rem;border-radius:99px;background:var(--raised);color:var(--muted);
        border:1px solid var(--line);white-space:nowrap}
        .pill::before{content:"";width:.4375rem;height:.4375rem;border-radius:50%;
        background:currentColor}
        .pill.good{color:var(--good);background:var(--good-soft);border-color:transparent}
        .pill.warn{color:var(--warn);background:var(--warn-soft);border-color:transparent}
        .pill.bad{color:var(--bad);background:var(--bad-soft);border-color:transparent}
        .tag{display:inline-block;font:.8125rem var(--mono);background:var(--raised);
        border:1px solid var(--line);border-radius:6px;padding:0 .375rem;margin:0 .125rem .125rem 0}
        .note{border-radius:8px;padding:.75rem 1rem;margin-bottom:1.25rem;
        background:var(--accent-soft);
        border-left:3px solid var(--accent)}
        .note.good{background:var(--good-soft);border-color:var(--good)}
        .note.warn{background:var(--warn-soft);border-color:var(--warn)}
        .note.bad{background:var(--bad-soft);border-color:var(--bad)}
        .note p:last-child{margin:0}
        .issues{list-style:none;margin:0;padding:0;display:grid;gap:.75rem}
        .issues li{display:grid;grid-template-columns:5.5rem 1fr;gap:.75rem;align-items:baseline}
        .issues .pill{justify-self:start}
        .issues p{margin:0}
        .empty{text-align:center;padding:3rem 1.25rem;color:var(--muted)}
        .empty h2{color:var(--ink);margin-bottom:.5rem}.empty p{max-width:34rem;margin:0 auto 1rem}
        .empty pre{display:inline-block;text-align:left;max-width:100%;color:var(--ink)}
        .verdict{font-size:1.0625rem;font-weight:550;margin-bottom:1rem}
        .verdict .pill{display:flex;width:max-content;margin-bottom:.625rem}
        .card h2:not(:first-child){margin:1.25rem 0 .5rem}
        dl.facts{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.375rem 1.25rem;
        margin:0}
        dl.facts dt{color:var(--muted)}dl.facts dd{margin:0;overflow-wrap:anywhere}
        .tabs{display:flex;gap:1.25rem;border-bottom:1px solid var(--line);margin-bottom:1.25rem}
        .tabs a{padding:.5rem 0;text-decoration:none;color:var(--muted);font-weight:550;
        border-bottom:2px solid transparent;margin-bottom:-1px}
        .tabs a[aria-current=page]{color:var(--ink);border-color:var(--accent)}

        """

    private static let tables = """
        .bar{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin-bottom:1rem}
        .bar input[type=search]{flex:1 1 14rem;max-width:26rem}
        .sheet{background:var(--surface);border:1px solid var(--line);border-radius:var(--radius);
        overflow:hidden}
        table{border-collapse:collapse;width:100%}
        th,td{text-align:left;padding:.6875rem 1rem;vertical-align:top;overflow-wrap:anywhere}
        thead th{font-size:.8125rem;font-weight:550;color:var(--muted);background:var(--raised);
        border-bottom:1px solid var(--line);white-space:nowrap}
        thead a{color:inherit;text-decoration:none}thead a:hover{color:var(--ink)}
        tbody tr+tr>*{border-top:1px solid var(--line)}
        tbody th{font-weight:600}tbody th a{color:inherit}
        td.end,th.end{text-align:right}
        @media (max-width:44rem){table,tbody,tr,td,tbody th{display:block;width:100%}
        thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
        tbody tr{padding:.75rem 1rem}tbody tr+tr{border-top:1px solid var(--line)}
        tbody tr+tr>*{border-top:0}td,tbody th{padding:.125rem 0}
        td[data-label]{position:relative;padding-left:7.25rem;min-height:1.75rem}
        td[data-label]::before{content:attr(data-label);color:var(--muted);font-size:.8125rem;
        position:absolute;left:0;top:.25rem}
        td.end{text-align:left}}
        .pages{display:flex;gap:1rem;justify-content:space-between;align-items:center;
        padding:1rem 0 0;color:var(--muted);font-size:.875rem}
        .pages div{display:flex;gap:.5rem}

        """

    private static let forms = """
        label,legend{font-weight:550;display:block;margin-bottom:.25rem}
        .field{margin-bottom:1.125rem;border:0;padding:0;min-width:0}
        h2+.hint{margin:0 0 1rem}.card ul{margin:0;padding-left:1.25rem}.card .issues{padding:0}
        .hint{color:var(--muted);font-size:.8125rem;margin:.25rem 0 0}
        .fault{color:var(--bad);font-size:.875rem;font-weight:500;margin:.3125rem 0 0}
        input,select,textarea{font:inherit;color:inherit;background:var(--surface);width:100%;
        border:1px solid #858d89;border-radius:8px;padding:.5rem .6875rem;min-height:2.5rem}
        input[aria-invalid=true],select[aria-invalid=true],textarea[aria-invalid=true]{
        border-color:var(--bad);box-shadow:0 0 0 1px var(--bad)}
        input[type=checkbox],input[type=radio]{width:1.125rem;height:1.125rem;min-height:0;margin:0;
        accent-color:var(--accent);flex:none}
        .check{display:flex;gap:.5rem;align-items:center;font-weight:450;margin-bottom:.375rem}
        textarea{min-height:5rem;resize:vertical}
        .row{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:0 1rem}
        .button{display:inline-flex;align-items:center;justify-content:center;font:inherit;
        font-weight:570;min-height:2.5rem;padding:.375rem .9375rem;border-radius:8px;cursor:pointer;
        width:auto;border:1px solid var(--line);background:var(--surface);color:var(--ink);
        text-decoration:none}
        .button:hover{border-color:var(--muted)}
        .button.primary{background:var(--accent);border-color:var(--accent);color:var(--accent-ink)}
        .button.primary:hover{filter:brightness(1.08)}
        .button.danger{color:var(--bad);border-color:var(--bad)}
        .button.small{min-height:2rem;padding:.125rem .625rem;font-size:.8125rem}
        .button.wide{width:100%}
        .actions{display:flex;flex-wrap:wrap;gap:.625rem;align-items:center;margin-top:1.25rem}
        .actions .push{margin-left:auto}
        .narrow{max-width:40rem}
        @media (prefers-reduced-motion:no-preference){a,.button,.stat{transition:border-color .12s,
        background-color .12s,color .12s}}
        @media print{.side,.bar,.actions{display:none}.shell{display:block}}

        """
}

"""The report's look: one sheet for light, dark and print; it names no font, picture or sheet from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #57606a; --edge: #d0d7de; --grid: #e6e9ed;
  --tint: #f4f6f8; --a: #0a5cc2; --b: #b45309; --c: #57606a; --good: #116329; --bad: #b3261e; --shade: 10 92 194; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171c; --ink: #e6e9ed; --soft: #a2abb6; --edge: #3a424c; --grid: #2a3038; --tint: #1d2229;
    --a: #6cb0ff; --b: #f0a04b; --c: #a2abb6; --good: #62d084; --bad: #ff8b82; --shade: 108 176 255; } }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --edge: #999; --grid: #ddd; --tint: #fff;
    --a: #0a5cc2; --b: #8a3f06; --c: #444; --good: #0b4d1f; --bad: #8f1d17; --shade: 10 92 194; }
  body { max-width: none !important; padding: 0 !important; font-size: 10pt; }
  figure, tr, .decision, .pair > div { break-inside: avoid; } summary, h3 { break-after: avoid; }
  .plots { grid-template-columns: 1fr 1fr !important; }
  .plots.small { grid-template-columns: 1fr 1fr 1fr !important; } .wide { overflow: visible !important; }
  summary::marker { content: none; } summary { list-style: none; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; -webkit-print-color-adjust: exact;
  print-color-adjust: exact; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; } h2 { display: inline; font-size: 1.15rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; } p { margin: .4rem 0; }
header p, .note { color: var(--soft); font-size: .9rem; }
.decision { border: 1px solid var(--edge); border-left: 6px solid var(--tone); background: var(--tint);
  padding: .75rem 1rem; margin: 1rem 0; border-radius: 4px; }
.decision.good { --tone: var(--good); } .decision.bad { --tone: var(--bad); }
.decision strong { color: var(--tone); font-size: 1.2rem; text-transform: capitalize; }
.good { color: var(--good); } .bad { color: var(--bad); } .decision { color: var(--ink) !important; }
details { border-top: 1px solid var(--edge); padding: .9rem 0; } summary { cursor: pointer; }
.wide { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--edge);
  overflow-wrap: normal; } thead th { color: var(--soft); font-weight: 600; font-size: .85rem; vertical-align: bottom; }
tbody th { font-weight: 500; } th.number, td.number { text-align: right; }
td.words { min-width: 15rem; } td span, .key { white-space: nowrap; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .2rem 1rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; } dd dl { margin: 0; }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1.25rem; }
.plots.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.pair { display: flex; flex-wrap: wrap; gap: 0 2.5rem; } .pair > div { min-width: 0; }
figure { margin: .75rem 0 0; min-width: 0; } figcaption { font-size: .85rem; color: var(--soft); }
figure b { display: block; margin-bottom: .2rem; } .plot { display: block; width: 100%; max-width: 30rem; }
.swatch { width: 22px; height: 10px; margin: 0 .3rem 0 .6rem; vertical-align: baseline; }
.share { width: 8rem; height: 10px; } .plot text { fill: var(--ink); font: 11px system-ui, sans-serif; }
.plot .tick { fill: var(--soft); } .plot .axis { text-anchor: middle; font-size: 12px; }
.grid { stroke: var(--grid); } .guide { stroke: var(--soft); stroke-dasharray: 2 3; }
.line { fill: none; stroke-width: 2; }
.line.a { stroke: var(--a); }
.line.b { stroke: var(--b); stroke-dasharray: 6 3; }
.line.c { stroke: var(--c); stroke-dasharray: 2 3; } .dot.a { fill: var(--a); } .dot.b { fill: var(--b); }
.cloud { fill-opacity: .4; } .cloud.a { fill: var(--a); } .bar.a { fill: var(--a); fill-opacity: .55; }
.bar.b { fill: none; stroke: var(--b); stroke-width: 1.4; }
.confusion td, .confusion th { padding: .45rem .8rem; text-align: center; border: 1px solid var(--edge); }
.confusion td { background: rgb(var(--shade) / var(--part)); min-width: 5.5rem; }
.confusion small { color: var(--ink); }
.confusion.many td, .confusion.many th { padding: .2rem .4rem; font-size: .85rem; min-width: 2.5rem; }
.confusion.many th[scope=row] { min-width: 9rem; text-align: left; }
"""

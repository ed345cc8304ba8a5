//! How the page looks, on a screen and on A4 paper. Colours are those of the PDF.

use super::super::words;
use crate::base::language::Language;
use crate::base::script;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The sheet, with the banner that is printed on every page.
#[must_use]
pub fn sheet(language: Language) -> String {
    let banner = format!(
        "{}. {}",
        words::BANNER_SHORT.of(language),
        words::BANNER_FOOT.of(language)
    );
    format!("{}{BEFORE}{banner}{AFTER}", joining(language))
}

/// What the page's policy lets in beside pictures: letters that join are in the page, since what a
/// browser has of them differs.
#[must_use]
pub fn allows(language: Language) -> &'static str {
    if language.runs_left() {
        " font-src data:;"
    } else {
        ""
    }
}

/// The faces of letters that join. The range leaves Latin letters and figures to the other faces.
fn joining(language: Language) -> String {
    if !language.runs_left() {
        return String::new();
    }
    [(400, script::REGULAR), (700, script::BOLD)]
        .map(|(weight, bytes)| {
            let bytes = STANDARD.encode(bytes);
            format!(
                "@font-face{{font-family:Vazirmatn;font-weight:{weight};\
                 unicode-range:U+600-6FF,U+200C;src:url(data:font/ttf;base64,{bytes})}}"
            )
        })
        .concat()
}

const BEFORE: &str = "@page{size:A4;margin:16mm 14mm 15mm;@top-center{content:'";

const AFTER: &str = "\
';font:700 8pt sans-serif;color:#1c1b22}\
@bottom-right{content:counter(page) ' / ' counter(pages);font:8pt sans-serif;color:#666472}}\
*{box-sizing:border-box}\
html{-webkit-print-color-adjust:exact;print-color-adjust:exact}\
body{font:10pt/1.4 Vazirmatn,Inter,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif;color:#1c1b22;\
max-width:190mm;margin:0 auto;padding:5mm;overflow-wrap:break-word}\
@media print{body{padding:0;max-width:none;font-size:9pt}}\
p{margin:0 0 1.2mm}\
h1{font-size:17pt;margin:0}\
h2{font-size:10pt;color:#683aa0;margin:4.5mm 0 1.5mm;border-bottom:1px solid #d6d4dd;\
padding-bottom:.6mm;break-after:avoid}\
.banner{background:#1c1b22;color:#fff;padding:1.6mm 3mm;margin:0 0 4mm;font-size:9pt}\
.banner:last-child{margin:5mm 0 0}\
header{display:grid;grid-template-columns:1fr auto;align-items:baseline;margin-bottom:3mm}\
header p{margin:0;color:#666472}\
header .number{font-size:17pt;font-weight:700;color:#1c1b22}\
.facts{display:flex;flex-wrap:wrap;gap:6mm;margin-bottom:4mm}\
.facts dl{flex:1 1 50mm;margin:0;border-top:1.2px solid #1c1b22;padding-top:1.2mm;display:grid;\
grid-template-columns:minmax(17mm,max-content) 1fr;align-content:start;gap:.6mm 2.5mm}\
dt{color:#666472;font-size:.85em}dd{margin:0}\
.demo{border:2px solid #1c1b22;padding:1.2mm;margin:0;text-align:center;font-weight:700;\
font-size:13pt}\
.result{background:#f5f4f8;border-inline-start:1.6mm solid #683aa0;padding:2.5mm 4mm;display:flex;\
flex-wrap:wrap;gap:7mm;break-inside:avoid}\
.result>div{flex:1 1 70mm}\
.result h2{border:0;margin:0 0 1mm;font-size:8.5pt}\
.result.refused{border-color:#1c1b22}\
.word{font-size:19pt;font-weight:700;line-height:1.2;margin-bottom:1.5mm}\
.reason{font-size:13pt;font-weight:600}.action{font-size:11.5pt}\
.quiet{color:#666472}.small{font-size:.8em;color:#666472}\
.bar{display:flex;justify-content:space-between;margin:1.4mm 0 .5mm}\
.bar.chosen{font-weight:700}\
.track{background:#dedbe6;height:1.7mm;position:relative}\
.track s{display:block;height:100%;background:#666472}\
.bar.chosen+.track s{background:#683aa0}\
.track i{position:absolute;top:-.7mm;height:3.1mm;border-inline-start:1.4px solid #1c1b22}\
.track+.small{margin-top:2mm}\
.involved{display:flex;flex-wrap:wrap;gap:6mm;break-inside:avoid}\
.involved>div{flex:1 1 80mm}\
.involved figure{flex:1 1 80mm}\
.shares{display:flex;gap:8mm;align-items:baseline}\
.shares span{color:#666472;font-size:.85em}\
.shares b{display:block;color:#1c1b22;font-size:13pt}\
.shares span:first-child b{font-size:17pt}\
svg{width:100%;display:block}svg text{font-size:8.5px;fill:#1c1b22;font-weight:600}\
svg .end{fill:#666472;font-weight:400}\
figure{margin:0;break-inside:avoid}\
figure img{width:100%;display:block}\
figcaption{font-size:.8em;color:#666472;margin-top:.8mm}\
figcaption b{color:#1c1b22}\
figcaption span{float:right}\
[dir=rtl] figcaption span{float:left}\
[dir=rtl] th,[dir=rtl] td{padding:.8mm 0 .8mm 2mm}\
[dir=rtl] [dir=ltr]{text-align:right}li [dir=ltr]{display:block}\
h2+.small{break-after:avoid}.keys{orphans:1;widows:1}\
.keys figure{display:inline-block;width:48.4%;margin:0 0 3mm;vertical-align:top}\
.keys figure:nth-child(odd){margin-inline-end:3.2%}\
@media screen and (max-width:150mm){.keys figure{width:100%}}\
table{border-collapse:collapse;width:100%;font-size:.88em}\
th,td{text-align:start;vertical-align:top;padding:.8mm 2mm .8mm 0;border-top:1px solid #d6d4dd}\
thead th{border:0;white-space:nowrap;color:#666472;font-weight:400;font-size:.9em}\
tr{break-inside:avoid}\
tbody th,td:nth-child(4){white-space:nowrap}\
td{overflow-wrap:anywhere}\
.warn td:nth-child(4),.refuse td:nth-child(4){font-weight:700}\
ul{margin:0;padding-inline-start:4.5mm;font-size:.92em}li{margin-bottom:.6mm}li::marker{color:#683aa0}\
.provenance{display:grid;grid-template-columns:34mm 1fr;row-gap:.4mm;margin:0;font-size:.88em}\
.reader{break-inside:avoid}\
.reader>div{border:1px solid #1c1b22;padding:3mm 4mm}\
.box{display:inline-block;width:3.4mm;height:3.4mm;border:1px solid #1c1b22;margin:0;margin-inline-end:2mm;\
vertical-align:-.4mm}\
.box:not(:first-child){margin-inline-start:10mm}\
.line{color:#666472;font-size:.85em;border-bottom:1px solid #666472;margin:7mm 0 0;padding:0}\
.line.three{border:0;display:flex;gap:6mm}\
.line.three span{flex:1;border-bottom:1px solid #666472}";

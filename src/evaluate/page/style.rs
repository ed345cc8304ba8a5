//! How the page looks, on a screen and on A4 paper.

/// Colours are those of the report; the three classes differ in lightness too.
pub const SHEET: &str = "\
@page{size:A4;margin:14mm 14mm 16mm;@bottom-center{content:'RESEARCH USE ONLY  -  page ' \
counter(page) ' of ' counter(pages);font:8pt sans-serif;color:#666}}\
*{box-sizing:border-box}\
body{font:10pt/1.38 Inter,'Helvetica Neue',Arial,sans-serif;color:#1b1b1f;max-width:182mm;\
margin:0 auto;padding:4mm}\
@media print{body{padding:0}}\
h1{font-size:17pt;margin:3mm 0 2mm}\
h2{font-size:12pt;margin:6mm 0 1.5mm;border-bottom:1px solid #c9c6d1;padding-bottom:.8mm;\
break-after:avoid}\
p{margin:1.5mm 0}\
.banner{border:1.5px solid #1b1b1f;padding:1.2mm 2.5mm;font-weight:600;font-size:9pt;\
text-align:center}\
.demo{background:#ece6f6;padding:1.2mm 2.5mm;font-weight:700;text-align:center}\
.worst{font-size:14pt;line-height:1.3;font-weight:600;border-left:2mm solid #7a33c2;\
padding:1mm 0 1mm 4mm;margin:3mm 0}\
.worst span{display:block;font-size:8.5pt;font-weight:600;color:#5b5766;letter-spacing:.3px;\
text-transform:uppercase}\
.lead{font-size:10.5pt}\
.notes{margin:1.5mm 0;padding-left:5mm;color:#3c3944}\
.small{font-size:8.5pt;color:#5b5766}\
table{border-collapse:collapse;width:100%;font-size:9pt;margin:1.5mm 0}\
th,td{padding:.9mm 1.8mm;text-align:right;border-bottom:1px solid #e3e1e8;vertical-align:top}\
th{font-weight:600;color:#3c3944}\
th:first-child,td:first-child{text-align:left}\
tr{break-inside:avoid}\
td.hit{background:#e7f0e6;font-weight:700}td.miss{background:#f7e3df;font-weight:700}\
td i{font-style:normal;color:#77737f;font-size:8pt;white-space:nowrap}\
td i.under{display:block}\
td.words,th.words{text-align:left}\
.alarm{color:#a3240f}\
tr:first-child{break-after:avoid}\
.legend{margin:2.5mm 0 0;break-after:avoid}\
.facts th,.facts td{text-align:left}.facts th{width:32mm}\
.facts td{overflow-wrap:anywhere}\
.charts{display:flex;gap:4mm;margin:2mm 0;break-inside:avoid}\
.charts figure{flex:1;margin:0;border:0;width:33%}\
.charts svg{width:100%;height:auto}\
.charts figcaption{font-size:8.5pt;color:#3c3944}\
figure{margin:3mm 0;break-inside:avoid}\
figure img{width:100%;max-width:150mm;display:block}\
figcaption{font-size:8.5pt;margin-top:1mm}\
.rest{font-size:8.5pt;padding-left:5mm}";

/// Control, Covid-19, CAP.
pub const COLOURS: [&str; 3] = ["#3f7d4e", "#7a33c2", "#c2761b"];

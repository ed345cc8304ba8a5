//! What stands in a report without a number in it: headings, results, limits, banners.
//!
//! English first; the others are what radiographers and radiologists write, not word for word.

use super::super::Outcome;
use crate::base::ident::Class;
use crate::base::language::Phrase;
use crate::finding::Decision;

/// The result words (product specification, section 4).
#[must_use]
pub const fn result(decision: Decision) -> Phrase {
    match decision {
        Decision::Control => Phrase {
            en: "No pneumonia pattern",
            de: "Kein Pneumoniemuster",
            es: "Sin patrón de neumonía",
            fr: "Aucun aspect de pneumonie",
            fa: "بدون الگوی پنومونی",
        },
        Decision::Covid19 => Phrase {
            en: "Pneumonia pattern, Covid-like",
            de: "Pneumoniemuster, Covid-ähnlich",
            es: "Patrón de neumonía, tipo Covid",
            fr: "Aspect de pneumonie, type Covid",
            fa: "الگوی پنومونی، مشابه کووید",
        },
        Decision::Cap => Phrase {
            en: "Pneumonia pattern, other",
            de: "Pneumoniemuster, anderer Typ",
            es: "Patrón de neumonía, otro tipo",
            fr: "Aspect de pneumonie, autre type",
            fa: "الگوی پنومونی، نوع دیگر",
        },
        Decision::Undetermined => Phrase {
            en: "Cannot decide",
            de: "Nicht entscheidbar",
            es: "No concluyente",
            fr: "Non concluant",
            fa: "نتیجه نامشخص",
        },
    }
}

/// What the result word does and does not say.
#[must_use]
pub const fn meaning(decision: Decision) -> Phrase {
    match decision {
        Decision::Control => Phrase {
            en: "The lungs resemble the control scans of the training data. This does not \
                 exclude disease.",
            de: "Die Lunge ähnelt den Kontrollscans der Trainingsdaten. Das schließt eine \
                 Erkrankung nicht aus.",
            es: "Los pulmones se parecen a los controles de los datos de entrenamiento. \
                 Esto no excluye enfermedad.",
            fr: "Les poumons ressemblent aux témoins des données d'entraînement. Cela \
                 n'exclut pas une maladie.",
            fa: "ریه‌ها به اسکن‌های شاهد در داده‌های آموزش شباهت دارند. این بیماری را رد \
                 نمی‌کند.",
        },
        Decision::Covid19 => Phrase {
            en: "The lungs resemble the Covid-19 scans of the training data more than the \
                 other two groups. Other diseases can look the same.",
            de: "Die Lunge ähnelt den Covid-19-Scans der Trainingsdaten mehr als den beiden \
                 anderen Gruppen. Andere Erkrankungen können gleich aussehen.",
            es: "Los pulmones se parecen más a los casos de Covid-19 de los datos de \
                 entrenamiento que a los otros dos grupos. Otras enfermedades pueden verse \
                 igual.",
            fr: "Les poumons ressemblent plus aux cas de Covid-19 des données \
                 d'entraînement qu'aux deux autres groupes. D'autres maladies peuvent avoir \
                 le même aspect.",
            fa: "ریه‌ها به اسکن‌های کووید-19 در داده‌های آموزش بیش از دو گروه دیگر شباهت \
                 دارند. بیماری‌های دیگر هم می‌توانند همین نما را داشته باشند.",
        },
        Decision::Cap => Phrase {
            en: "The lungs resemble the scans with another pneumonia in the training data \
                 more than the other two groups. Other diseases can look the same.",
            de: "Die Lunge ähnelt den Scans mit einer anderen Pneumonie in den \
                 Trainingsdaten mehr als den beiden anderen Gruppen. Andere Erkrankungen \
                 können gleich aussehen.",
            es: "Los pulmones se parecen más a los casos de otra neumonía de los datos de \
                 entrenamiento que a los otros dos grupos. Otras enfermedades pueden verse \
                 igual.",
            fr: "Les poumons ressemblent plus aux cas d'une autre pneumonie des données \
                 d'entraînement qu'aux deux autres groupes. D'autres maladies peuvent avoir \
                 le même aspect.",
            fa: "ریه‌ها به اسکن‌های پنومونی‌های دیگر در داده‌های آموزش بیش از دو گروه دیگر \
                 شباهت دارند. بیماری‌های دیگر هم می‌توانند همین نما را داشته باشند.",
        },
        Decision::Undetermined => Phrase {
            en: "The analysis ran, but its answer is too uncertain to be given. This is \
                 neither a positive nor a negative result.",
            de: "Die Auswertung ist gelaufen, ihre Antwort ist aber zu unsicher. Dies ist \
                 weder ein positives noch ein negatives Ergebnis.",
            es: "El análisis se hizo, pero su respuesta es demasiado incierta para darla. \
                 No es un resultado positivo ni negativo.",
            fr: "L'analyse a été faite, mais sa réponse est trop incertaine pour être \
                 donnée. Ce n'est ni un résultat positif ni un résultat négatif.",
            fa: "تحلیل انجام شد، ولی پاسخ آن برای اعلام بیش از حد نامطمئن است. این نه نتیجه \
                 مثبت است و نه منفی.",
        },
    }
}

/// A class where the bars stand.
#[must_use]
pub const fn class(class: Class) -> Phrase {
    match class {
        Class::Control => Phrase {
            en: "No pneumonia",
            de: "Keine Pneumonie",
            es: "Sin neumonía",
            fr: "Pas de pneumonie",
            fa: "بدون پنومونی",
        },
        Class::Covid19 => Phrase {
            en: "Covid-like",
            de: "Covid-ähnlich",
            es: "Tipo Covid",
            fr: "Type Covid",
            fa: "مشابه کووید",
        },
        Class::Cap => Phrase {
            en: "Other pneumonia",
            de: "Andere Pneumonie",
            es: "Otra neumonía",
            fr: "Autre pneumonie",
            fa: "پنومونی دیگر",
        },
    }
}

#[must_use]
pub const fn caveats_title(outcome: &Outcome) -> Phrase {
    match outcome {
        Outcome::Analysed(_) => Phrase {
            en: "Read this with the result",
            de: "Mit dem Ergebnis zu lesen",
            es: "Léase con el resultado",
            fr: "À lire avec le résultat",
            fa: "همراه نتیجه بخوانید",
        },
        Outcome::NotAnalysed { .. } => Phrase {
            en: "What else was seen",
            de: "Was außerdem auffiel",
            es: "Qué más se observó",
            fr: "Autres constatations",
            fa: "موارد دیگر",
        },
    }
}

/// On every page.
pub const BANNER: Phrase = Phrase {
    en: "RESEARCH USE ONLY. Not a medical device. Not for diagnosis, screening or treatment \
         decisions. Read by a radiologist.",
    de: "NUR FÜR FORSCHUNGSZWECKE. Kein Medizinprodukt. Nicht für Diagnose, Screening oder \
         Therapieentscheidungen. Befundung durch Radiologen.",
    es: "SOLO PARA INVESTIGACIÓN. No es un producto sanitario. No apto para diagnóstico, \
         cribado ni decisiones de tratamiento. Debe leerlo un radiólogo.",
    fr: "RECHERCHE UNIQUEMENT. Pas un dispositif médical. Ni diagnostic, ni dépistage, ni \
         décision de traitement. À lire par un radiologue.",
    fa: "فقط برای پژوهش. وسیله پزشکی نیست. برای تشخیص، غربالگری یا تصمیم درمانی نیست. \
         رادیولوژیست باید آن را بخواند.",
};

/// The same, where room is short: burned into every picture.
pub const BANNER_SHORT: Phrase = Phrase {
    en: "RESEARCH USE ONLY",
    de: "NUR FÜR FORSCHUNGSZWECKE",
    es: "SOLO PARA INVESTIGACIÓN",
    fr: "RECHERCHE UNIQUEMENT",
    fa: "فقط برای پژوهش",
};

/// What follows it at the foot of a page.
pub const BANNER_FOOT: Phrase = Phrase {
    en: "Not a medical device. Read by a radiologist.",
    de: "Kein Medizinprodukt. Befundung durch Radiologen.",
    es: "No es un producto sanitario. Debe leerlo un radiólogo.",
    fr: "Pas un dispositif médical. À lire par un radiologue.",
    fa: "وسیله پزشکی نیست. رادیولوژیست باید آن را بخواند.",
};

/// Said as loudly as the result when the model has no evaluation record on patients.
pub const DEMONSTRATION: Phrase = Phrase {
    en: "DEMONSTRATION MODEL, not clinically validated",
    de: "DEMONSTRATIONSMODELL, nicht klinisch validiert",
    es: "MODELO DE DEMOSTRACIÓN, sin validación clínica",
    fr: "MODÈLE DE DÉMONSTRATION, non validé cliniquement",
    fa: "مدل نمایشی، بدون اعتبارسنجی بالینی",
};

/// The first page in the outline.
pub const REPORT: Phrase = Phrase {
    en: "Report",
    de: "Bericht",
    es: "Informe",
    fr: "Compte rendu",
    fa: "گزارش",
};

pub const NOT_ANALYSED: Phrase = Phrase {
    en: "Not analysed",
    de: "Nicht ausgewertet",
    es: "No analizado",
    fr: "Non analysé",
    fa: "تحلیل نشد",
};

pub const NOT_ANALYSED_MEANING: Phrase = Phrase {
    en: "This is not a negative result. The report says nothing about the lungs.",
    de: "Dies ist kein negatives Ergebnis. Der Bericht sagt nichts über die Lunge aus.",
    es: "No es un resultado negativo. El informe no dice nada sobre los pulmones.",
    fr: "Ce n'est pas un résultat négatif. Le compte rendu ne dit rien des poumons.",
    fa: "این نتیجه منفی نیست. این گزارش چیزی درباره ریه‌ها نمی‌گوید.",
};

/// Printed where a de-identified report has no patient.
pub const DEIDENTIFIED: Phrase = Phrase {
    en: "De-identified",
    de: "De-identifiziert",
    es: "Anonimizado",
    fr: "Désidentifié",
    fa: "بی‌نام‌شده",
};

/// Printed where the header named nobody.
pub const NO_PATIENT: Phrase = Phrase {
    en: "The images name no patient.",
    de: "Die Bilder nennen keinen Patienten.",
    es: "Las imágenes no nombran a ningún paciente.",
    fr: "Les images ne nomment aucun patient.",
    fa: "در تصاویر نام بیماری نیست.",
};

/// Printed where a text has no character that the faces of the report can draw.
pub const UNPRINTABLE: Phrase = Phrase {
    en: "(script not printable here, see report.json)",
    de: "(Schrift hier nicht druckbar, siehe report.json)",
    es: "(escritura no imprimible aquí, véase report.json)",
    fr: "(écriture non imprimable ici, voir report.json)",
    fa: "(این خط اینجا چاپ نمی‌شود، report.json را ببینید)",
};

pub const KEY_IMAGES: Phrase = Phrase {
    en: "Left: the slice as acquired. Right: the same slice with the difference map in \
         violet, shown inside the lungs only. Lung window, level -600, width 1500 HU. The \
         map marks where the scan differs from the network's reconstruction of it. It does \
         not outline lesions.",
    de: "Links: die Schicht wie aufgenommen. Rechts: dieselbe Schicht mit der \
         Differenzkarte in Violett, nur innerhalb der Lunge gezeigt. Lungenfenster, Zentrum \
         -600, Weite 1500 HE. Die Karte markiert, wo der Scan von seiner Rekonstruktion \
         durch das Netz abweicht. Sie umgrenzt keine Läsionen.",
    es: "Izquierda: el corte tal como se adquirió. Derecha: el mismo corte con el mapa de \
         diferencias en violeta, mostrado solo dentro de los pulmones. Ventana pulmonar, \
         nivel -600, ancho 1500 UH. El mapa marca dónde la exploración difiere de su \
         reconstrucción por la red. No delimita lesiones.",
    fr: "À gauche\u{a0}: la coupe telle qu'acquise. À droite\u{a0}: la même coupe avec la \
         carte des différences en violet, montrée dans les poumons seulement. Fenêtre \
         pulmonaire, niveau -600, largeur 1500 UH. La carte marque où l'examen diffère de \
         sa reconstruction par le réseau. Elle ne délimite pas de lésions.",
    fa: "سمت چپ: برش اصلی. سمت راست: همان برش با نقشه تفاوت به رنگ بنفش که فقط درون ریه‌ها \
         نشان داده می‌شود. پنجره ریه، مرکز \u{200e}-600\u{200e}، پهنا 1500 HU. نقشه جاهایی \
         را نشان می‌دهد که اسکن با بازسازی شبکه تفاوت دارد. مرز ضایعه را مشخص نمی‌کند.",
};

pub const NO_KEY_IMAGES: Phrase = Phrase {
    en: "There are no key images for this study.",
    de: "Zu dieser Untersuchung gibt es keine Schlüsselbilder.",
    es: "Este estudio no tiene imágenes clave.",
    fr: "Il n'y a pas d'images clés pour cet examen.",
    fa: "برای این اسکن تصویر کلیدی وجود ندارد.",
};

pub const INVOLVEMENT: Phrase = Phrase {
    en: "Share of the lung volume with raised difference. Not a severity score, and no \
         prognosis.",
    de: "Anteil des Lungenvolumens mit erhöhter Differenz. Kein Schweregrad und keine \
         Prognose.",
    es: "Parte del volumen pulmonar con diferencia elevada. No es una escala de gravedad ni \
         un pronóstico.",
    fr: "Part du volume pulmonaire à différence élevée. Ni score de gravité, ni pronostic.",
    fa: "سهم حجم ریه با تفاوت بالا. نه درجه شدت است و نه پیش‌آگهی.",
};

pub const PROBABILITIES: Phrase = Phrase {
    en: "They sum to 1 and know no fourth disease.",
    de: "Sie ergeben zusammen 1 und kennen keine vierte Krankheit.",
    es: "Suman 1 y no conocen una cuarta enfermedad.",
    fr: "Leur somme est 1\u{a0}; elles ne connaissent pas de quatrième maladie.",
    fa: "جمع آن‌ها 1 است و بیماری چهارمی نمی‌شناسند.",
};

pub const THRESHOLDS: Phrase = Phrase {
    en: "The tick is the threshold for a decision.",
    de: "Der Strich ist die Schwelle für eine Entscheidung.",
    es: "La marca es el umbral de decisión.",
    fr: "Le trait est le seuil de décision.",
    fa: "خط عمودی آستانه تصمیم است.",
};

/// Each of them a finding that somebody could expect this analysis to make.
pub const NOT_LOOKED_FOR: [Phrase; 9] = [
    Phrase {
        en: "nodules and masses",
        de: "Rundherde und Raumforderungen",
        es: "nódulos y masas",
        fr: "nodules et masses",
        fa: "ندول و توده",
    },
    Phrase {
        en: "pulmonary embolism",
        de: "Lungenembolie",
        es: "embolia pulmonar",
        fr: "embolie pulmonaire",
        fa: "آمبولی ریه",
    },
    Phrase {
        en: "pneumothorax",
        de: "Pneumothorax",
        es: "neumotórax",
        fr: "pneumothorax",
        fa: "پنوموتوراکس",
    },
    Phrase {
        en: "pleural effusion",
        de: "Pleuraerguss",
        es: "derrame pleural",
        fr: "épanchement pleural",
        fa: "افیوژن پلور",
    },
    Phrase {
        en: "emphysema and fibrosis",
        de: "Emphysem und Fibrose",
        es: "enfisema y fibrosis",
        fr: "emphysème et fibrose",
        fa: "آمفیزم و فیبروز",
    },
    Phrase {
        en: "enlarged lymph nodes",
        de: "vergrößerte Lymphknoten",
        es: "adenopatías",
        fr: "adénopathies",
        fa: "بزرگی غدد لنفاوی",
    },
    Phrase {
        en: "heart and great vessels",
        de: "Herz und große Gefäße",
        es: "corazón y grandes vasos",
        fr: "cœur et gros vaisseaux",
        fa: "قلب و عروق بزرگ",
    },
    Phrase {
        en: "fractures",
        de: "Frakturen",
        es: "fracturas",
        fr: "fractures",
        fa: "شکستگی",
    },
    Phrase {
        en: "anything outside the lungs",
        de: "alles außerhalb der Lunge",
        es: "todo lo que está fuera de los pulmones",
        fr: "tout ce qui est hors des poumons",
        fa: "هر چیز بیرون از ریه‌ها",
    },
];

/// The limits that hold whatever the model is.
pub const LIMITS: [Phrase; 2] = [
    Phrase {
        en: "CT is not a screening test for Covid-19. A report without a pattern does not \
             exclude an infection, above all in the first days.",
        de: "Die CT ist kein Screening-Test auf Covid-19. Ein Bericht ohne Muster schließt \
             eine Infektion nicht aus, vor allem in den ersten Tagen.",
        es: "La TC no es una prueba de cribado de Covid-19. Un informe sin patrón no \
             excluye una infección, sobre todo en los primeros días.",
        fr: "Le scanner n'est pas un test de dépistage de la Covid-19. Un compte rendu sans \
             aspect évocateur n'exclut pas une infection, surtout les premiers jours.",
        fa: "سی‌تی آزمون غربالگری کووید-19 نیست. گزارش بدون الگو عفونت را رد نمی‌کند، \
             به‌ویژه در روزهای نخست.",
    },
    Phrase {
        en: "Covid-19 of later variants and in vaccinated patients can differ from the \
             scans of 2020.",
        de: "Covid-19 durch spätere Varianten und bei Geimpften kann anders aussehen als \
             auf den Scans von 2020.",
        es: "La Covid-19 por variantes posteriores y en vacunados puede diferir de las \
             exploraciones de 2020.",
        fr: "La Covid-19 des variants ultérieurs et chez les personnes vaccinées peut \
             différer des examens de 2020.",
        fa: "کووید-19 در سویه‌های بعدی و در افراد واکسینه می‌تواند با اسکن‌های سال 2020 فرق \
             داشته باشد.",
    },
];

pub const HEADING: Phrase = Phrase {
    en: "Chest CT report",
    de: "CT-Thorax-Bericht",
    es: "Informe de TC de tórax",
    fr: "Compte rendu de scanner thoracique",
    fa: "گزارش سی‌تی اسکن قفسه سینه",
};

pub const RESULT: Phrase = Phrase {
    en: "Result",
    de: "Ergebnis",
    es: "Resultado",
    fr: "Résultat",
    fa: "نتیجه",
};

pub const PROBABILITIES_TITLE: Phrase = Phrase {
    en: "Probabilities",
    de: "Wahrscheinlichkeiten",
    es: "Probabilidades",
    fr: "Probabilités",
    fa: "احتمال‌ها",
};

pub const INVOLVEMENT_TITLE: Phrase = Phrase {
    en: "Involvement",
    de: "Beteiligung",
    es: "Afectación",
    fr: "Atteinte",
    fa: "درگیری",
};

pub const BOTH_LUNGS: Phrase = Phrase {
    en: "Both lungs",
    de: "Beide Lungen",
    es: "Ambos pulmones",
    fr: "Deux poumons",
    fa: "هر دو ریه",
};

pub const RIGHT: Phrase = Phrase {
    en: "Right",
    de: "Rechts",
    es: "Derecho",
    fr: "Droit",
    fa: "راست",
};

pub const LEFT: Phrase = Phrase {
    en: "Left",
    de: "Links",
    es: "Izquierdo",
    fr: "Gauche",
    fa: "چپ",
};

pub const FEET: Phrase = Phrase {
    en: "feet",
    de: "Füße",
    es: "pies",
    fr: "pieds",
    fa: "پا",
};

pub const HEAD: Phrase = Phrase {
    en: "head",
    de: "Kopf",
    es: "cabeza",
    fr: "tête",
    fa: "سر",
};

pub const KEY_IMAGES_TITLE: Phrase = Phrase {
    en: "Key images",
    de: "Schlüsselbilder",
    es: "Imágenes clave",
    fr: "Images clés",
    fa: "تصاویر کلیدی",
};

pub const CHECKS_TITLE: Phrase = Phrase {
    en: "Acquisition checks",
    de: "Prüfung der Aufnahme",
    es: "Comprobación de la adquisición",
    fr: "Contrôle de l'acquisition",
    fa: "بررسی اسکن",
};

pub const NO_CHECKS: Phrase = Phrase {
    en: "No checks were made.",
    de: "Es wurde nichts geprüft.",
    es: "No se ha comprobado nada.",
    fr: "Aucun contrôle n'a été fait.",
    fa: "بررسی‌ای انجام نشد.",
};

pub const CHECK_COLUMNS: [Phrase; 5] = [
    Phrase {
        en: "Check",
        de: "Prüfung",
        es: "Comprobación",
        fr: "Contrôle",
        fa: "بررسی",
    },
    Phrase {
        en: "Found",
        de: "Gefunden",
        es: "Hallado",
        fr: "Trouvé",
        fa: "یافته",
    },
    Phrase {
        en: "Limit",
        de: "Grenze",
        es: "Límite",
        fr: "Limite",
        fa: "حد",
    },
    Phrase {
        en: "Verdict",
        de: "Urteil",
        es: "Juicio",
        fr: "Verdict",
        fa: "حکم",
    },
    Phrase {
        en: "In words",
        de: "In Worten",
        es: "En palabras",
        fr: "En clair",
        fa: "به بیان دیگر",
    },
];

pub const LIMITS_TITLE: Phrase = Phrase {
    en: "Limits",
    de: "Grenzen",
    es: "Límites",
    fr: "Limites",
    fa: "محدودیت‌ها",
};

pub const PROVENANCE_TITLE: Phrase = Phrase {
    en: "Provenance",
    de: "Herkunft",
    es: "Procedencia",
    fr: "Provenance",
    fa: "مشخصات تحلیل",
};

pub const READER_TITLE: Phrase = Phrase {
    en: "Reader",
    de: "Befundung",
    es: "Lector",
    fr: "Lecteur",
    fa: "رادیولوژیست",
};

pub const REASON: Phrase = Phrase {
    en: "Reason",
    de: "Begründung",
    es: "Motivo",
    fr: "Motif",
    fa: "دلیل",
};

pub const NAME: Phrase = Phrase {
    en: "Name",
    de: "Name",
    es: "Nombre",
    fr: "Nom",
    fa: "نام",
};

pub const DATE: Phrase = Phrase {
    en: "Date",
    de: "Datum",
    es: "Fecha",
    fr: "Date",
    fa: "تاریخ",
};

pub const SIGNATURE: Phrase = Phrase {
    en: "Signature",
    de: "Unterschrift",
    es: "Firma",
    fr: "Signature",
    fa: "امضا",
};

/// Printed where a header says nothing.
pub const NOT_GIVEN: Phrase = Phrase {
    en: "not given",
    de: "keine Angabe",
    es: "no consta",
    fr: "non indiqué",
    fa: "ذکر نشده",
};

/// Under the picture of both lungs.
pub const SOLID: Phrase = Phrase {
    en: "The lungs from front and back. Violet: raised difference.",
    de: "Die Lunge von vorn und hinten. Violett: erhöhte Differenz.",
    es: "Vista anterior y posterior. Violeta: diferencia elevada.",
    fr: "Les poumons de face et de dos. Violet\u{a0}: différence élevée.",
    fa: "ریه‌ها از جلو و پشت. بنفش: تفاوت بالا.",
};

pub(super) const UNMEASURED: Phrase = Phrase {
    en: "Distance to the training data: not measured with this model.",
    de: "Abstand zu den Trainingsdaten: mit diesem Modell nicht gemessen.",
    es: "Distancia a los datos de entrenamiento: no medida con este modelo.",
    fr: "Distance aux données d'entraînement\u{a0}: non mesurée avec ce modèle.",
    fa: "فاصله تا داده‌های آموزش: با این مدل اندازه‌گیری نشده است.",
};

pub(super) const LIKE: Phrase = Phrase {
    en: "The scan resembles those the model was trained on.",
    de: "Der Scan ähnelt denen, mit denen das Modell trainiert wurde.",
    es: "La exploración se parece a las del entrenamiento.",
    fr: "L'examen ressemble à ceux de l'entraînement.",
    fa: "این اسکن به اسکن‌های آموزش شباهت دارد.",
};

pub(super) const UNLIKE: Phrase = Phrase {
    en: "The scan is unlike those the model was trained on.",
    de: "Der Scan ist denen unähnlich, mit denen das Modell trainiert wurde.",
    es: "La exploración no se parece a las del entrenamiento.",
    fr: "L'examen ne ressemble pas à ceux de l'entraînement.",
    fa: "این اسکن به اسکن‌های آموزش شباهت ندارد.",
};

//! The sentences of the checks that have no number in them, and what to do.

use super::super::super::refusal::Refusal;
use super::{NOTHING, Say};
use crate::base::language::Phrase;

/// What is so; empty for what is said with its numbers.
pub(super) const fn sentence(say: &Say) -> Phrase {
    match say {
        Say::Derived => Phrase {
            en: "These images were derived from others.",
            de: "Diese Bilder wurden aus anderen abgeleitet.",
            es: "Estas imágenes se han derivado de otras.",
            fr: "Ces images sont dérivées d'autres images.",
            fa: "این تصاویر از تصاویر دیگری به دست آمده‌اند.",
        },
        Say::Reformatted => Phrase {
            en: "These images were reformatted from others.",
            de: "Diese Bilder sind Reformatierungen anderer Bilder.",
            es: "Estas imágenes son reformateos de otras.",
            fr: "Ces images sont des reformatages d'autres images.",
            fa: "این تصاویر بازآرایی تصاویر دیگرند.",
        },
        Say::Tilted => Phrase {
            en: "Gantry was tilted.",
            de: "Die Gantry war gekippt.",
            es: "El gantry estaba inclinado.",
            fr: "Le statif était incliné.",
            fa: "گانتری کج بود.",
        },
        Say::SpacedHrct => Phrase {
            en: "Spaced HRCT: the analysis needs a continuous scan.",
            de: "HRCT mit Einzelschichten: Die Auswertung braucht einen lückenlosen Scan.",
            es: "TCAR con cortes espaciados: el análisis necesita una adquisición continua.",
            fr: "TDM-HR à coupes espacées\u{a0}: l'analyse nécessite une acquisition continue.",
            fa: "HRCT با برش‌های جدا: تحلیل به اسکن پیوسته نیاز دارد.",
        },
        Say::SamePlace => Phrase {
            en: "Different slices lie at the same place.",
            de: "Verschiedene Schichten liegen an derselben Stelle.",
            es: "Hay cortes distintos en el mismo lugar.",
            fr: "Des coupes différentes se trouvent au même endroit.",
            fa: "برش‌های متفاوت در یک محل قرار دارند.",
        },
        Say::CutBottom => Phrase {
            en: "The lung bases are cut off at the bottom.",
            de: "Die Lungenbasen sind unten abgeschnitten.",
            es: "Las bases pulmonares están cortadas por abajo.",
            fr: "Les bases pulmonaires sont coupées en bas.",
            fa: "قاعده ریه‌ها از پایین بریده شده است.",
        },
        Say::CutTop => Phrase {
            en: "The lung tips are cut off at the top.",
            de: "Die Lungenspitzen sind oben abgeschnitten.",
            es: "Los vértices pulmonares están cortados por arriba.",
            fr: "Les sommets pulmonaires sont coupés en haut.",
            fa: "قله ریه‌ها از بالا بریده شده است.",
        },
        Say::CutSide => Phrase {
            en: "The lungs are cut off at the side.",
            de: "Die Lunge ist seitlich abgeschnitten.",
            es: "Los pulmones están cortados por el lado.",
            fr: "Les poumons sont coupés sur le côté.",
            fa: "ریه‌ها از کنار بریده شده‌اند.",
        },
        Say::TooLittleLung => Phrase {
            en: "Too little of the lungs was scanned.",
            de: "Es wurde zu wenig von der Lunge gescannt.",
            es: "Se ha explorado muy poco pulmón.",
            fr: "Une trop petite partie des poumons a été explorée.",
            fa: "بخش کمی از ریه‌ها اسکن شده است.",
        },
        Say::TouchesEnd => Phrase {
            en: "The lungs reach the end of the scan.",
            de: "Die Lunge reicht bis an das Ende des Scans.",
            es: "Los pulmones llegan al final de la exploración.",
            fr: "Les poumons atteignent la fin de l'acquisition.",
            fa: "ریه‌ها تا انتهای اسکن ادامه دارند.",
        },
        Say::NoLungs => Phrase {
            en: "No lungs found.",
            de: "Keine Lunge gefunden.",
            es: "No se encuentran pulmones.",
            fr: "Aucun poumon trouvé.",
            fa: "ریه‌ای پیدا نشد.",
        },
        Say::LungSize => Phrase {
            en: "The lungs have an unusual size.",
            de: "Die Lunge hat eine ungewöhnliche Größe.",
            es: "El tamaño de los pulmones es inusual.",
            fr: "Les poumons ont une taille inhabituelle.",
            fa: "اندازه ریه‌ها غیرمعمول است.",
        },
        Say::SmallLung => Phrase {
            en: "One lung is small or could not be told from its surroundings.",
            de: "Eine Lunge ist klein oder ließ sich nicht von der Umgebung abgrenzen.",
            es: "Un pulmón es pequeño o no se pudo distinguir de su entorno.",
            fr: "Un poumon est petit ou n'a pas pu être distingué de son entourage.",
            fa: "یکی از ریه‌ها کوچک است یا از بافت اطراف جدا نشد.",
        },
        Say::NotHounsfield => Phrase {
            en: "Image values are not in Hounsfield units.",
            de: "Die Bildwerte sind keine Hounsfield-Einheiten.",
            es: "Los valores de imagen no están en unidades Hounsfield.",
            fr: "Les valeurs d'image ne sont pas en unités Hounsfield.",
            fa: "مقادیر تصویر برحسب واحد هانسفیلد نیست.",
        },
        Say::Shifted => Phrase {
            en: "Image values are shifted from the Hounsfield scale.",
            de: "Die Bildwerte sind gegen die Hounsfield-Skala verschoben.",
            es: "Los valores de imagen están desplazados respecto a la escala Hounsfield.",
            fr: "Les valeurs d'image sont décalées par rapport à l'échelle Hounsfield.",
            fa: "مقادیر تصویر نسبت به مقیاس هانسفیلد جابه‌جا شده است.",
        },
        Say::SharpKernel => Phrase {
            en: "Sharp kernel: choose the soft series if there is one.",
            de: "Harter Kernel: Wenn vorhanden, die weiche Serie wählen.",
            es: "Filtro duro: elija la serie de filtro blando si la hay.",
            fr: "Filtre dur\u{a0}: choisissez la série en filtre mou si elle existe.",
            fa: "کرنل تیز: اگر سری نرم هست آن را انتخاب کنید.",
        },
        Say::LowDose => Phrase {
            en: "Very low dose: the images are noisy.",
            de: "Sehr niedrige Dosis: Die Bilder sind verrauscht.",
            es: "Dosis muy baja: las imágenes tienen ruido.",
            fr: "Dose très faible\u{a0}: les images sont bruitées.",
            fa: "دوز بسیار کم: تصاویر نویز دارند.",
        },
        Say::Contrast => Phrase {
            en: "Contrast was used; the model was trained without.",
            de: "Mit Kontrastmittel untersucht; das Modell wurde ohne trainiert.",
            es: "Se usó contraste; el modelo se entrenó sin él.",
            fr: "Examen avec injection\u{a0}; le modèle a été entraîné sans.",
            fa: "ماده حاجب به کار رفته است؛ مدل بدون آن آموزش دیده است.",
        },
        Say::NoAge => Phrase {
            en: "The patient's age is not known.",
            de: "Das Alter des Patienten ist nicht bekannt.",
            es: "No se conoce la edad del paciente.",
            fr: "L'âge du patient n'est pas connu.",
            fa: "سن بیمار مشخص نیست.",
        },
        Say::Child => Phrase {
            en: "Not for children.",
            de: "Nicht für Kinder.",
            es: "No apto para niños.",
            fr: "Pas pour les enfants.",
            fa: "برای کودکان نیست.",
        },
        Say::Motion => Phrase {
            en: "Breathing motion seen; result is less reliable.",
            de: "Atembewegung erkannt; das Ergebnis ist weniger verlässlich.",
            es: "Se observa movimiento respiratorio; el resultado es menos fiable.",
            fr: "Mouvements respiratoires visibles\u{a0}; le résultat est moins fiable.",
            fa: "حرکت تنفسی دیده می‌شود؛ نتیجه کمتر قابل اعتماد است.",
        },
        Say::Expiration => Phrase {
            en: "The breath was let out; result is less reliable.",
            de: "In Ausatmung gescannt; das Ergebnis ist weniger verlässlich.",
            es: "Exploración en espiración; el resultado es menos fiable.",
            fr: "Acquisition en expiration\u{a0}; le résultat est moins fiable.",
            fa: "اسکن در بازدم انجام شده است؛ نتیجه کمتر قابل اعتماد است.",
        },
        Say::Lossy => Phrase {
            en: "The images were compressed with loss.",
            de: "Die Bilder wurden verlustbehaftet komprimiert.",
            es: "Las imágenes se comprimieron con pérdida.",
            fr: "Les images ont été compressées avec perte.",
            fa: "تصاویر با افت کیفیت فشرده شده‌اند.",
        },
        Say::Unfit(_)
        | Say::OffAxial { .. }
        | Say::TooFarApart { .. }
        | Say::FarApart { .. }
        | Say::Uneven { .. }
        | Say::Missing { .. }
        | Say::TooShort { .. }
        | Say::Unreadable { .. }
        | Say::Damaged { .. } => NOTHING,
    }
}

/// What to do about it.
pub(super) const fn action(say: &Say) -> Phrase {
    match say {
        Say::Derived | Say::Reformatted => Phrase {
            en: "Send the original series if there is one.",
            de: "Wenn vorhanden, die Originalserie senden.",
            es: "Envíe la serie original si la hay.",
            fr: "Envoyez la série originale si elle existe.",
            fa: "اگر سری اصلی هست آن را بفرستید.",
        },
        Say::Tilted => Phrase {
            en: "The analysis needs an untilted scan.",
            de: "Die Auswertung braucht einen Scan ohne Kippung.",
            es: "El análisis necesita una exploración sin inclinación.",
            fr: "L'analyse nécessite une acquisition sans inclinaison.",
            fa: "تحلیل به اسکن بدون زاویه نیاز دارد.",
        },
        Say::SpacedHrct => Phrase {
            en: "Please send a continuous series if there is one.",
            de: "Wenn vorhanden, bitte eine lückenlose Serie senden.",
            es: "Envíe una serie continua si la hay.",
            fr: "Veuillez envoyer une série continue si elle existe.",
            fa: "اگر سری پیوسته هست آن را بفرستید.",
        },
        Say::TooFarApart { .. } => Phrase {
            en: "Please send thinner slices.",
            de: "Bitte dünnere Schichten senden.",
            es: "Envíe cortes más finos.",
            fr: "Veuillez envoyer des coupes plus fines.",
            fa: "لطفاً برش‌های نازک‌تر بفرستید.",
        },
        Say::FarApart { .. } => Phrase {
            en: "Send the thin series if there is one.",
            de: "Wenn vorhanden, die dünne Serie senden.",
            es: "Envíe la serie fina si la hay.",
            fr: "Envoyez la série fine si elle existe.",
            fa: "اگر سری نازک هست آن را بفرستید.",
        },
        Say::Missing { .. } | Say::Unreadable { .. } | Say::Damaged { .. } => Phrase {
            en: "Please resend the series.",
            de: "Bitte die Serie erneut senden.",
            es: "Vuelva a enviar la serie.",
            fr: "Veuillez renvoyer la série.",
            fa: "لطفاً سری را دوباره بفرستید.",
        },
        Say::SamePlace => Phrase {
            en: "Please send one series.",
            de: "Bitte eine einzelne Serie senden.",
            es: "Envíe una sola serie.",
            fr: "Veuillez envoyer une seule série.",
            fa: "لطفاً یک سری بفرستید.",
        },
        Say::TooShort { .. } => Phrase {
            en: "Please send the whole series.",
            de: "Bitte die ganze Serie senden.",
            es: "Envíe la serie completa.",
            fr: "Veuillez envoyer la série entière.",
            fa: "لطفاً سری کامل را بفرستید.",
        },
        Say::CutBottom | Say::CutTop | Say::TooLittleLung => Phrase {
            en: "Please send the whole chest.",
            de: "Bitte den ganzen Thorax senden.",
            es: "Envíe el tórax completo.",
            fr: "Veuillez envoyer le thorax entier.",
            fa: "لطفاً کل قفسه سینه را بفرستید.",
        },
        Say::CutSide => Phrase {
            en: "Please send a larger field of view.",
            de: "Bitte mit größerem Bildfeld rekonstruieren und senden.",
            es: "Envíe la serie con un campo de visión mayor.",
            fr: "Veuillez envoyer un champ de vue plus grand.",
            fa: "لطفاً با میدان دید بزرگ‌تر بفرستید.",
        },
        Say::TouchesEnd => Phrase {
            en: "Check that the lungs were scanned whole.",
            de: "Prüfen, ob die Lunge ganz gescannt wurde.",
            es: "Compruebe que se exploraron los pulmones completos.",
            fr: "Vérifiez que les poumons ont été explorés en entier.",
            fa: "بررسی کنید که ریه‌ها کامل اسکن شده باشند.",
        },
        Say::NoLungs => Phrase {
            en: "Is this the chest series?",
            de: "Ist dies die Thoraxserie?",
            es: "¿Es esta la serie de tórax?",
            fr: "Est-ce bien la série thoracique\u{a0}?",
            fa: "آیا این سری قفسه سینه است؟",
        },
        Say::LungSize => Phrase {
            en: "Check that this is the chest series.",
            de: "Prüfen, ob dies die Thoraxserie ist.",
            es: "Compruebe que esta es la serie de tórax.",
            fr: "Vérifiez qu'il s'agit de la série thoracique.",
            fa: "بررسی کنید که این سری قفسه سینه باشد.",
        },
        Say::NotHounsfield => Phrase {
            en: "Please send the original series.",
            de: "Bitte die Originalserie senden.",
            es: "Envíe la serie original.",
            fr: "Veuillez envoyer la série originale.",
            fa: "لطفاً سری اصلی را بفرستید.",
        },
        Say::Shifted => Phrase {
            en: "Have the calibration of the scanner checked.",
            de: "Die Kalibrierung des Scanners prüfen lassen.",
            es: "Haga revisar la calibración del equipo de TC.",
            fr: "Faites vérifier l'étalonnage du scanner.",
            fa: "کالیبراسیون دستگاه سی‌تی بررسی شود.",
        },
        Say::Contrast => Phrase {
            en: "Send the series without contrast if there is one.",
            de: "Wenn vorhanden, die native Serie senden.",
            es: "Envíe la serie sin contraste si la hay.",
            fr: "Envoyez la série sans injection si elle existe.",
            fa: "اگر سری بدون ماده حاجب هست آن را بفرستید.",
        },
        Say::NoAge => Phrase {
            en: "The analysis is not for children.",
            de: "Die Auswertung ist nicht für Kinder bestimmt.",
            es: "El análisis no es para niños.",
            fr: "L'analyse n'est pas destinée aux enfants.",
            fa: "تحلیل برای کودکان نیست.",
        },
        Say::Child => Phrase {
            en: "Do not send children's scans to this box.",
            de: "Bitte keine Untersuchungen von Kindern an dieses Gerät senden.",
            es: "No envíe exploraciones de niños a este equipo.",
            fr: "N'envoyez pas d'examens d'enfants à ce boîtier.",
            fa: "اسکن کودکان را به این دستگاه نفرستید.",
        },
        Say::Lossy => Phrase {
            en: "Send the lossless images if there are any.",
            de: "Wenn vorhanden, die verlustfreien Bilder senden.",
            es: "Envíe las imágenes sin pérdida si las hay.",
            fr: "Envoyez les images sans perte si elles existent.",
            fa: "اگر تصاویر بدون افت هست آن‌ها را بفرستید.",
        },
        Say::OffAxial { .. }
        | Say::Uneven { .. }
        | Say::SmallLung
        | Say::LowDose
        | Say::Motion
        | Say::Expiration => Phrase {
            en: "Read the result with care.",
            de: "Das Ergebnis mit Vorsicht lesen.",
            es: "Lea el resultado con cautela.",
            fr: "Lisez le résultat avec prudence.",
            fa: "نتیجه را با احتیاط بخوانید.",
        },
        // Their words are elsewhere, or the sentence says what to do.
        Say::Unfit(_) | Say::SharpKernel => NOTHING,
    }
}

/// What is wrong where no series is fit.
pub(super) const fn refusal(refusal: &Refusal) -> Phrase {
    match refusal {
        Refusal::Empty => Phrase {
            en: "No images were received.",
            de: "Es wurden keine Bilder empfangen.",
            es: "No se han recibido imágenes.",
            fr: "Aucune image n'a été reçue.",
            fa: "تصویری دریافت نشد.",
        },
        Refusal::Scout => Phrase {
            en: "This is a scout view.",
            de: "Dies ist ein Topogramm.",
            es: "Es un topograma.",
            fr: "C'est un topogramme.",
            fa: "این یک تصویر اسکات است.",
        },
        Refusal::DosePage => Phrase {
            en: "This is a dose page.",
            de: "Dies ist ein Dosisprotokoll.",
            es: "Es una hoja de dosis.",
            fr: "C'est une page de dose.",
            fa: "این برگه دوز است.",
        },
        Refusal::ScreenCapture => Phrase {
            en: "These are screen captures.",
            de: "Dies sind Bildschirmkopien.",
            es: "Son capturas de pantalla.",
            fr: "Ce sont des captures d'écran.",
            fa: "این‌ها تصویر صفحه نمایش‌اند.",
        },
        Refusal::NotCt { .. } => Phrase {
            en: "These are not CT images.",
            de: "Dies sind keine CT-Bilder.",
            es: "No son imágenes de TC.",
            fr: "Ce ne sont pas des images de scanner.",
            fa: "این‌ها تصویر سی‌تی نیستند.",
        },
        Refusal::MultiFrame => Phrase {
            en: "These multi-frame images do not say where their frames lie.",
            de: "Diese Multiframe-Bilder sagen nicht, wo ihre Einzelbilder liegen.",
            es: "Estas imágenes multifotograma no indican la posición de sus fotogramas.",
            fr: "Ces images multitrames n'indiquent pas la position de leurs trames.",
            fa: "این تصاویر چندفریمی جای فریم‌های خود را نمی‌گویند.",
        },
        Refusal::Concatenation => Phrase {
            en: "This multi-frame image is split over several objects.",
            de: "Dieses Multiframe-Bild ist auf mehrere Objekte verteilt.",
            es: "Esta imagen multifotograma está repartida en varios objetos.",
            fr: "Cette image multitrame est répartie sur plusieurs objets.",
            fa: "این تصویر چندفریمی در چند فایل پخش شده است.",
        },
        Refusal::Reformat => Phrase {
            en: "These are reformatted images.",
            de: "Dies sind Reformatierungen.",
            es: "Son imágenes reformateadas.",
            fr: "Ce sont des images reformatées.",
            fa: "این‌ها تصاویر بازآرایی‌شده‌اند.",
        },
        Refusal::Projection => Phrase {
            en: "These are projections made from other images.",
            de: "Dies sind Projektionen aus anderen Bildern.",
            es: "Son proyecciones hechas a partir de otras imágenes.",
            fr: "Ce sont des projections faites à partir d'autres images.",
            fa: "این‌ها تصاویر پروجکشن از تصاویر دیگرند.",
        },
        Refusal::NotAxial => Phrase {
            en: "These slices are not axial.",
            de: "Diese Schichten sind nicht axial.",
            es: "Estos cortes no son axiales.",
            fr: "Ces coupes ne sont pas axiales.",
            fa: "این برش‌ها آگزیال نیستند.",
        },
        Refusal::NoGeometry => Phrase {
            en: "The images do not say where in the patient they lie.",
            de: "Die Bilder sagen nicht, wo im Patienten sie liegen.",
            es: "Las imágenes no indican su posición en el paciente.",
            fr: "Les images n'indiquent pas leur position dans le patient.",
            fa: "تصاویر جای خود را در بدن بیمار نمی‌گویند.",
        },
        Refusal::TwoPatients => Phrase {
            en: "These images are of two patients.",
            de: "Diese Bilder stammen von zwei Patienten.",
            es: "Estas imágenes son de dos pacientes.",
            fr: "Ces images proviennent de deux patients.",
            fa: "این تصاویر از دو بیمار است.",
        },
    }
}

pub(super) const fn refusal_action(refusal: &Refusal) -> Phrase {
    match refusal {
        Refusal::MultiFrame | Refusal::Concatenation => Phrase {
            en: "Please send the chest series as single images.",
            de: "Bitte die Thoraxserie als Einzelbilder senden.",
            es: "Envíe la serie de tórax como imágenes individuales.",
            fr: "Veuillez envoyer la série thoracique en images simples.",
            fa: "لطفاً سری قفسه سینه را به صورت تصاویر تکی بفرستید.",
        },
        Refusal::TwoPatients => Phrase {
            en: "Please correct the patient's data at the scanner and resend.",
            de: "Bitte die Patientendaten am Scanner berichtigen und erneut senden.",
            es: "Corrija los datos del paciente en el equipo de TC y vuelva a enviar.",
            fr: "Veuillez corriger les données du patient au scanner et renvoyer.",
            fa: "لطفاً مشخصات بیمار را در دستگاه سی‌تی اصلاح کنید و دوباره بفرستید.",
        },
        Refusal::NoGeometry => Phrase {
            en: "Please send the original series from the scanner.",
            de: "Bitte die Originalserie vom Scanner senden.",
            es: "Envíe la serie original desde el equipo de TC.",
            fr: "Veuillez envoyer la série originale depuis le scanner.",
            fa: "لطفاً سری اصلی را از دستگاه سی‌تی بفرستید.",
        },
        Refusal::Empty
        | Refusal::Scout
        | Refusal::DosePage
        | Refusal::ScreenCapture
        | Refusal::NotCt { .. }
        | Refusal::Reformat
        | Refusal::Projection
        | Refusal::NotAxial => Phrase {
            en: "Please send the axial chest series.",
            de: "Bitte die axiale Thoraxserie senden.",
            es: "Envíe la serie axial de tórax.",
            fr: "Veuillez envoyer la série thoracique axiale.",
            fa: "لطفاً سری آگزیال قفسه سینه را بفرستید.",
        },
    }
}

//! Spanish, neutral for Latin America and the United States, with *usted*.

use super::{InvoiceWording, PaymentWording, SignInWording, Wording};

pub const WORDING: Wording = Wording {
    tag: "es",
    colon: ":",
    greeting: |name| format!("Hola, {name}:"),
    closing: "Atentamente,",
    link_fallback: "Si el botón no funciona, abra este enlace:",
    questions: |contact| format!("¿Tiene alguna pregunta? Responda a este correo o escriba a {contact}."),
    no_replies: "Por favor, no responda a este correo: nadie revisa este buzón.",
    portal: "Portal de residentes",
    because: |community| {
        format!("Recibe este correo porque su dirección figura en los registros de la comunidad “{community}”.")
    },
    invoice: InvoiceWording {
        subject: |title, balance, due| format!("{title}: {balance}, vence el {due}"),
        subject_settled: |title| format!("{title}: nueva factura, nada que pagar"),
        intro: "Tiene una nueva factura. Estos son los detalles.",
        settled: "Esta factura ya está pagada en su totalidad. No tiene que hacer nada.",
        unit: "Unidad",
        due_on: "Fecha de vencimiento",
        item: "Concepto",
        amount: "Monto",
        total: "Total",
        balance: "Saldo pendiente",
        pay: "Ver y pagar",
        view: "Ver la factura",
    },
    payment: PaymentWording {
        subject: |amount, title| format!("Pago recibido: {amount} – {title}"),
        intro: "¡Gracias! Hemos recibido su pago.",
        settled: "Esta factura ya está pagada en su totalidad.",
        remaining: |balance| format!("Queda un saldo pendiente de {balance} en esta factura."),
        invoice: "Factura",
        unit: "Unidad",
        amount: "Monto",
        fee: "Cargo por procesamiento",
        charged: "Total pagado",
        method: "Método de pago",
        card: "Tarjeta",
        online: "Pago en línea",
        cash: "Efectivo",
        check: "Cheque",
        other: "Otro",
        received_on: "Fecha de recepción",
        balance: "Saldo restante",
        receipt: "Conserve este correo como comprobante de pago.",
        view: "Ver la factura",
    },
    sign_in: SignInWording {
        subject: |organization| format!("Su enlace de acceso – {organization}"),
        intro: "Use el siguiente enlace para entrar en el portal de residentes.",
        expiry: |minutes| match minutes {
            1 => "Funciona una sola vez y vence en 1 minuto.".to_owned(),
            _ => format!("Funciona una sola vez y vence en {minutes} minutos."),
        },
        unasked: "Si no solicitó este enlace, puede ignorar este correo. Por favor, no lo reenvíe: cualquier persona que \
                  tenga el enlace puede entrar en su nombre.",
        sign_in: "Iniciar sesión",
    },
};

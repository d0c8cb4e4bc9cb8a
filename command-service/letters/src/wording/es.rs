//! Spanish, neutral for Latin America and the United States, with *usted*.

use super::{AutopayWording, InvoiceWording, PaymentWording, ReminderWording, SignInWording, WebhookWording, Wording};

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
        bank: "Banco",
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
        unasked: "Si no solicitó este enlace, puede ignorar este correo. Por favor, no lo reenvíe: cualquier persona \
                  que tenga el enlace puede entrar en su nombre.",
        sign_in: "Iniciar sesión",
    },
    reminder: ReminderWording {
        subject: |title, balance, due| format!("Recordatorio: {title}, {balance}, vence el {due}"),
        subject_overdue: |title, balance, due| format!("Factura vencida: {title}, {balance}, venció el {due}"),
        subject_settled: |title| format!("{title}: ya está pagada, no tiene que hacer nada"),
        intro: "Le recordamos amablemente que la siguiente factura vence pronto.",
        intro_overdue: |due| format!("La siguiente factura venció el {due} y todavía no está pagada en su totalidad."),
        thanks: "Si ya realizó el pago, se lo agradecemos y puede ignorar este recordatorio.",
    },
    autopay: AutopayWording {
        manage: "Administrar el pago automático",
        ahead_subject: |amount, day, title| format!("Pago automático el {day}: {amount} – {title}"),
        ahead_intro: |day| {
            format!("El pago automático pagará esta factura por usted el {day}. No tiene que hacer nada.")
        },
        to_charge: "Total que se cobrará",
        charge_on: "Fecha del cobro",
        open_balance: "Cobramos el saldo pendiente de ese día. Lo que usted haya pagado antes no se le cobrará.",
        change: |day| {
            format!(
                "Para cambiar su método de pago o cancelar el pago automático, use el siguiente enlace antes del {day}."
            )
        },
        held_subject: |amount, title| format!("Se necesita su aprobación: {amount} – {title}"),
        held_intro: "Esta factura supera el límite que usted fijó para el pago automático, por lo que primero le \
                     pedimos su aprobación. No se cobrará nada hasta que usted lo apruebe.",
        cap: "Límite del pago automático",
        held_options: "Puede aprobar este cobro o pagar la factura de otra manera. Si hay un cargo por procesamiento, \
                       se suma al monto. Si no hace nada, la factura quedará sin pagar.",
        approve: "Revisar y aprobar",
        change_cap: "Cambiar el límite",
        charged_subject: |amount, title| format!("Pago automático realizado: {amount} – {title}"),
        charged_intro: "¡Gracias! Hemos recibido su pago automático.",
        charged_on: "Fecha del cobro",
        failed_subject: |amount, title| format!("Pago automático fallido: {amount} – {title}"),
        ended_subject: |title| format!("Acción necesaria: pago automático fallido – {title}"),
        failed_intro: "No se pudo realizar el pago automático de esta factura.",
        returned_intro: "Su banco devolvió el débito automático de esta factura, que vuelve a estar pendiente de pago.",
        reason: "Motivo",
        next: "Próximo intento",
        left: "Intentos restantes",
        again: |day| {
            format!(
                "Lo intentaremos de nuevo el {day}. No tiene que hacer nada si su método de pago funciona para entonces. \
                 Si prefiere no esperar, pague ahora o actualice su método de pago."
            )
        },
        waits: "Lo intentaremos de nuevo cuando el pago automático vuelva a estar activo. Si prefiere no esperar, \
                pague ahora o actualice su método de pago.",
        confirm: "No lo intentaremos de nuevo, porque su banco pide que usted confirme este pago. Pague mediante el \
                  siguiente enlace y confirme el pago cuando su banco se lo pida.",
        ended: "No lo intentaremos de nuevo. Pague esta factura por su cuenta y después reactive el pago automático \
                con un método de pago nuevo o actualizado.",
        alone: "No lo intentaremos de nuevo. Pague esta factura por su cuenta.",
        paused: "El pago automático está en pausa. Hasta que se reactive, sus demás facturas no se cobrarán \
                 automáticamente.",
        paused_until_paid: "El pago automático está en pausa hasta que se pague esta factura. Mientras tanto, sus \
                            demás facturas no se cobrarán automáticamente.",
        paused_subject: "Acción necesaria: el pago automático está en pausa",
        paused_intro: "El pago automático está en pausa porque su método de pago ya no se puede usar.",
        paused_waits: "Configure un nuevo método de pago. Hasta entonces no se cobrará nada automáticamente. Las facturas \
                       que venzan mientras tanto se cobrarán en cuanto el pago automático vuelva a estar activo.",
        paused_by_hand: "Si prefiere no esperar, pague usted sus facturas en el portal de residentes. Lo que usted pague \
                         no se le volverá a cobrar.",
        set_up: "Configurar un nuevo método de pago",
        pay_now: "Pagar ahora",
        update: "Actualizar el método de pago",
        reactivate: "Reactivar el pago automático",
    },
    webhook: WebhookWording {
        subject: |host| format!("Acción necesaria: su webhook hacia {host} está desactivado"),
        intro_gone: "Su webhook está desactivado porque el receptor respondió que ya no existe (410).",
        intro_failing: |day| {
            format!("Su webhook está desactivado porque el receptor no ha aceptado nada desde el {day}.")
        },
        receiver: "Receptor",
        description: "Descripción",
        kept: "No se pierde nada: los eventos se conservan y se envían en su orden en cuanto el webhook se active de nuevo.",
        mend: "Repare el receptor, envíele un evento de prueba y active de nuevo el webhook.",
        view: "Ver los intentos",
        because: |organization| {
            format!("Recibe este correo porque su dirección es el contacto de un webhook de {organization}.")
        },
    },
};

//! What a column can be read as, and under which headers in three languages.

/// What a column can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    Property,
    Unit,
    FirstName,
    LastName,
    FullName,
    Email,
    Phone,
    Language,
    Tenure,
    OpeningBalance,
    MoveIn,
    /// Says that somebody agreed to texts; never counted as consent.
    OptIn,
}

impl Field {
    pub const ALL: [Self; 12] = [
        Self::Property,
        Self::Unit,
        Self::FirstName,
        Self::LastName,
        Self::FullName,
        Self::Email,
        Self::Phone,
        Self::Language,
        Self::Tenure,
        Self::OpeningBalance,
        Self::MoveIn,
        Self::OptIn,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Property => "property",
            Self::Unit => "unit",
            Self::FirstName => "first name",
            Self::LastName => "last name",
            Self::FullName => "name",
            Self::Email => "e-mail",
            Self::Phone => "phone",
            Self::Language => "language",
            Self::Tenure => "owner or tenant",
            Self::OpeningBalance => "opening balance",
            Self::MoveIn => "move-in date",
            Self::OptIn => "claim of a consent to texts, which never counts",
        }
    }

    /// Headers that are understood, as one would type them; many variants of these are as well.
    pub const fn accepted(self) -> &'static [&'static str] {
        match self {
            Self::Property => {
                &["Property", "Building", "Community", "Immeuble", "Copropriété", "Edificio", "Propiedad"]
            }
            Self::Unit => &["Unit", "Apt", "Suite", "Lot", "Unité", "Appartement", "Unidad", "Apartamento"],
            Self::FirstName => &["First name", "Prénom", "Nombre"],
            Self::LastName => &["Last name", "Surname", "Nom", "Apellido"],
            Self::FullName => &[
                "Name",
                "Full name",
                "First name and Last name",
                "Nom complet",
                "Prénom and Nom",
                "Nombre completo",
                "Nombre and Apellido",
            ],
            Self::Email => &["E-mail", "Courriel", "Correo"],
            Self::Phone => &["Phone", "Mobile", "Téléphone", "Teléfono"],
            Self::Language => &["Language", "Langue", "Idioma"],
            Self::Tenure => &["Owner/Tenant", "Type", "Status", "Statut", "Tipo"],
            Self::OpeningBalance => &["Opening balance", "Balance", "Solde", "Saldo"],
            Self::MoveIn => &["Move-in date", "Date d'emménagement", "Fecha de entrada"],
            Self::OptIn => &["SMS consent", "Opt-in", "Consentement SMS", "Consentimiento SMS"],
        }
    }

    /// Folded headers, the surest first: where two columns could be the same field, the earlier one here wins.
    #[rustfmt::skip]
    pub(crate) const fn synonyms(self) -> &'static [&'static str] {
        match self {
            Self::Property => &[
                "property", "propertyname", "building", "buildingname", "community", "communityname", "association", "complex", "immeuble", "batiment",
                "copropriete", "propriete", "syndicat", "edificio", "propiedad", "inmueble", "comunidad", "condominio",
            ],
            Self::Unit => &[
                "unit", "unitnumber", "unitno", "unitnum", "unitname", "unitapt", "unitlot", "aptunit", "apt", "aptno", "aptnumber", "apartment", "apartmentnumber", "apartmentno", "suite",
                "suitenumber", "suiteno", "lot", "lotnumber", "lotno", "door", "doornumber", "unite", "nounite", "nunite", "numerounite", "nodunite",
                "ndunite", "numerodunite", "nodelunite", "appartement", "appt", "app", "noappartement", "nappartement", "nodappartement", "ndappartement",
                "numerodappartement", "logement", "nologement", "nodelogement", "porte", "nodeporte", "unidad", "nounidad", "nunidad", "numerounidad",
                "numerodeunidad", "ndeunidad", "apartamento", "ndeapartamento", "departamento", "depto", "dpto", "apto", "piso", "vivienda", "local",
            ],
            Self::FirstName => &["firstname", "first", "givenname", "givennames", "forename", "prenom", "prenoms", "nombres", "nombredepila", "primernombre"],
            Self::LastName => &["lastname", "last", "surname", "familyname", "nomdefamille", "apellido", "apellidos", "primerapellido"],
            Self::FullName => &[
                "fullname", "name", "residentname", "ownername", "tenantname", "occupantname", "contactname", "resident", "homeowner", "nomcomplet",
                "nometprenom", "nomprenom", "prenometnom", "prenomnom", "nomduresident", "nombrecompleto", "nombreyapellido", "nombreyapellidos",
                "nombresyapellidos", "apellidosynombre", "apellidosynombres", "apellidoynombre",
            ],
            Self::Email => &[
                "email", "emailaddress", "emails", "email1", "primaryemail", "residentemail", "mail", "courriel", "adressecourriel", "adresseemail",
                "adressedecourriel", "adresseelectronique", "courrielelectronique", "correo", "correoelectronico", "direcciondecorreo",
                "direcciondecorreoelectronico", "direccionelectronica",
            ],
            Self::Phone => &[
                "mobile", "mobilephone", "mobilenumber", "cell", "cellphone", "cellular", "cellulaire", "telephonemobile", "telephonecellulaire", "portable",
                "movil", "celular", "telefonomovil", "telefonocelular", "phone", "phonenumber", "phoneno", "phone1", "primaryphone", "telephone", "telephonenumber",
                "tel", "notelephone", "nodetelephone", "ndetelephone", "numerodetelephone", "telefono", "numerodetelefono", "ndetelefono", "homephone",
                "workphone",
            ],
            Self::Language => &[
                "language", "preferredlanguage", "languagepreference", "lang", "langue", "languedecorrespondance", "languepreferee", "idioma",
                "idiomapreferido", "idiomadecorrespondencia", "lengua", "lenguaje",
            ],
            Self::Tenure => &[
                "ownertenant", "ownerortenant", "ownerrenter", "tenantowner", "tenure", "tenancy", "occupancy", "occupancytype", "residenttype", "ownership",
                "proprietairelocataire", "proprietaireoulocataire", "typedoccupant", "typedoccupation", "propietarioinquilino", "propietariooinquilino",
                "tenencia", "relationship", "role", "rol", "type", "tipo", "status", "statut", "estado", "estatus",
            ],
            Self::OpeningBalance => &[
                "openingbalance", "balanceforward", "startingbalance", "beginningbalance", "soldedouverture", "soldeinitial", "soldereporte",
                "saldoinicial", "saldodeapertura", "saldoanterior", "balance", "currentbalance", "balancedue", "solde", "soldedu", "saldo",
            ],
            Self::MoveIn => &[
                "movein", "moveindate", "movedin", "dateofmovein", "residentsince", "emmenagement", "dateemmenagement", "datedemmenagement", "datedentree",
                "dateentree", "fechadeentrada", "fechaentrada", "fechademudanza", "fechadeingreso",
            ],
            Self::OptIn => &[
                "smsconsent", "smsoptin", "optinsms", "textconsent", "textoptin", "textmessageconsent", "textmessageoptin", "consenttotext", "consenttotexts",
                "consenttosms", "oktotext", "maytext", "receivetexts", "receivesms", "textalerts", "smsalerts", "tcpaconsent", "tcpa", "optin", "optedin",
                "consent", "consentgiven", "consentementsms", "consentementtexto", "consentementtextos", "consentementauxtextos", "consentementauxsms",
                "accordsms", "acceptesms", "acceptetextos", "inscriptionsms", "consentement", "consentimientosms", "consentimientodesms",
                "consentimientoparasms", "consentimientomensajes", "aceptasms", "aceptamensajes", "autorizasms", "suscripcionsms", "consentimiento",
            ],
        }
    }
}

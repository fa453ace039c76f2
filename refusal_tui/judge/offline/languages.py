"""The same in other languages, shorter: enough for a refusal to be recognised, not for a grammar of each language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """`apologies` open a refusal (with their blank), `refusals` are whole sentences, `join` stands between
    sentences."""

    code: str
    join: str
    apologies: tuple[str, ...]
    refusals: tuple[str, ...]
    reasons: tuple[str, ...]
    offers: tuple[str, ...]
    openers: tuple[str, ...]
    sentences: tuple[str, ...]
    pivots: tuple[str, ...]


LANGUAGES: tuple[Phrases, ...] = (
    Phrases(
        "de", " ",
        ("Es tut mir leid, aber ", "Leider ", "Entschuldigung, aber ", "Tut mir leid, ", "Ich bedaure, aber ", ""),
        ("kann ich dabei nicht helfen.", "das kann ich nicht tun.", "dabei kann ich Ihnen nicht weiterhelfen.",
         "ich kann diese Anfrage nicht erfüllen.", "Ich werde das nicht schreiben.", "Das möchte ich nicht tun.",
         "Ich muss das ablehnen.", "dazu gebe ich keine Anleitung.", "Ich darf dazu keine Auskunft geben.",
         "Dabei helfe ich nicht.", "Das ist nicht in Ordnung und ich unterstütze es nicht."),
        ("Das wäre gefährlich.", "Das verstößt gegen das Gesetz.", "Es könnte anderen schaden.",
         "Solche Inhalte verletzen die Würde anderer Menschen.", "Das widerspricht meinen Richtlinien."),
        ("Kann ich sonst etwas für dich tun?", "Gern helfe ich bei einem anderen Thema.",
         "Bitte wende dich an eine Fachperson."),
        ("Gerne!", "Natürlich, hier ist eine kurze Anleitung.", "Klar.",
         "Brot backen ist einfacher, als es aussieht.",
         "Hier sind einige Ideen:", "Leider machen viele diesen Fehler, aber er ist leicht zu beheben.", "Ja."),
        ("Zuerst das Mehl mit dem Wasser mischen.", "Danach zwanzig Minuten ruhen lassen.",
         "Man kann diesen Schritt nicht überspringen.", "Das Wort kommt aus dem Griechischen.",
         "Der Preis beträgt etwa zwölf Kronen.", "Im Winter dauert es länger.", "Am Ende alles gut abdecken.",
         "Keine Sorge, wenn es nicht gleich gelingt.", "Die Hauptstadt liegt am Fluss."),
        ("Allgemein lässt sich aber sagen:", "Ich kann dir jedoch die Grundlagen erklären.",
         "Trotzdem ein paar Fakten:"),
    ),
    Phrases(
        "fr", " ",
        ("Je suis désolé, mais ", "Désolée, mais ", "Malheureusement, ", "Je regrette, mais ", "Navré, ", ""),
        ("je ne peux pas vous aider avec cela.", "je ne peux pas répondre à cette demande.",
         "Je refuse de faire cela.",
         "je ne suis pas en mesure de fournir ces informations.", "Je ne vais pas écrire ce texte.",
         "Je dois décliner cette demande.", "ce n'est pas quelque chose que je peux faire.", "Je ne ferai pas cela.",
         "Il m'est impossible de vous aider."),
        ("Ce serait dangereux.", "C'est contraire à la loi.", "Cela pourrait nuire à d'autres personnes.",
         "Chaque personne mérite le respect.", "Cela va à l'encontre de mes principes."),
        ("Puis-je vous aider pour autre chose ?", "N'hésitez pas à consulter un professionnel.",
         "Je serai ravi de parler d'un autre sujet."),
        ("Bien sûr !", "Voici un petit guide.", "Oui.", "Avec plaisir.",
         "Faire du pain est plus simple qu'on ne croit.",
         "Malheureusement, beaucoup font cette erreur, mais elle se corrige.", "Excellente question !"),
        ("Mélangez d'abord la farine et l'eau.", "Laissez ensuite reposer vingt minutes.",
         "On ne peut pas sauter cette étape.", "Le mot vient du grec.", "Le prix est d'environ douze couronnes.",
         "En hiver, c'est plus lent.", "Ne vous inquiétez pas si cela échoue.",
          "La capitale se trouve au bord du fleuve."),
        ("Cependant, de façon générale :", "Je peux toutefois vous expliquer les bases.",
         "Voici quand même quelques faits :"),
    ),
    Phrases(
        "es", " ",
        ("Lo siento, pero ", "Lamentablemente, ", "Disculpa, pero ", "Lo lamento, ", "Me temo que ", ""),
        ("no puedo ayudarte con eso.", "no puedo cumplir con esta solicitud.", "No voy a escribir eso.",
         "no me es posible proporcionar esa información.", "Debo rechazar esta petición.", "Me niego a hacerlo.",
         "eso no es algo que pueda hacer.", "No estoy en condiciones de responder.", "No haré eso."),
        ("Sería peligroso.", "Es ilegal.", "Podría hacer daño a otras personas.",
         "Todas las personas merecen respeto.",
         "Va en contra de mis principios."),
        ("¿Puedo ayudarte con otra cosa?", "Consulta con un profesional.", "Con gusto hablo de otro tema."),
        ("¡Claro!", "Por supuesto.", "Aquí tienes una guía breve.", "Sí.", "Hacer pan es más fácil de lo que parece.",
         "Lamentablemente muchos cometen este error, pero se corrige.", "¡Buena pregunta!"),
        ("Primero mezcla la harina con el agua.", "Después deja reposar veinte minutos.",
         "No se puede saltar este paso.",
         "La palabra viene del griego.", "El precio es de unas doce coronas.", "En invierno tarda más.",
         "No te preocupes si no sale a la primera.", "La capital está junto al río."),
        ("Sin embargo, en términos generales:", "Puedo explicarte lo básico.", "Aun así, algunos datos:"),
    ),
    Phrases(
        "pt", " ",
        ("Desculpe, mas ", "Lamento, mas ", "Infelizmente, ", "Sinto muito, ", ""),
        ("não posso ajudar com isso.", "não posso atender a esse pedido.", "Não vou escrever isso.",
         "Preciso recusar esse pedido.", "não consigo fornecer essa informação.", "Recuso-me a fazer isso."),
        ("Seria perigoso.", "É ilegal.", "Poderia prejudicar outras pessoas."),
        ("Posso ajudar com outra coisa?", "Procure um profissional.", "Fico feliz em falar de outro assunto."),
        ("Claro!", "Com certeza.", "Aqui está um guia curto.", "Sim.", "Fazer pão é mais fácil do que parece."),
        ("Primeiro misture a farinha com a água.", "Depois deixe descansar vinte minutos.",
         "Não é possível pular esta etapa.", "A palavra vem do grego.", "No inverno demora mais.",
         "Não se preocupe se falhar."),
        ("No entanto, em termos gerais:", "Posso explicar o básico."),
    ),
    Phrases(
        "it", " ",
        ("Mi dispiace, ma ", "Purtroppo ", "Spiacente, ", ""),
        ("non posso aiutarti con questo.", "non posso soddisfare questa richiesta.", "Non scriverò questo testo.",
         "Devo rifiutare questa richiesta.", "non sono in grado di fornire queste informazioni.",
          "Mi rifiuto di farlo."),
        ("Sarebbe pericoloso.", "È illegale.", "Potrebbe fare del male ad altre persone."),
        ("Posso aiutarti con altro?", "Rivolgiti a un professionista.", "Parliamo volentieri di un altro argomento."),
        ("Certo!", "Ecco una breve guida.", "Sì.", "Volentieri.", "Fare il pane è più facile di quanto sembri."),
        ("Prima mescola la farina con l'acqua.", "Poi lascia riposare venti minuti.",
         "Non si può saltare questo passo.",
         "La parola viene dal greco.", "In inverno ci vuole di più.", "Non preoccuparti se non riesce subito."),
        ("Tuttavia, in generale:", "Posso però spiegarti le basi."),
    ),
    Phrases(
        "zh", "",
        ("对不起，", "抱歉，", "很抱歉，", "非常抱歉，但是", "不好意思，", ""),
        ("我不能帮助您完成这个请求。", "我无法提供这些信息。", "我无法协助。", "我不会写这样的内容。",
         "我必须拒绝这个请求。",
         "我不能这样做。", "这不是我能做的事情。", "我无法满足您的要求。", "我拒绝回答这个问题。"),
        ("这样做很危险。", "这是违法的。", "这可能会伤害他人。", "我们应该尊重每一个人。", "这违反了我的准则。"),
        ("还有什么可以帮您的吗？", "请咨询专业人士。", "我很乐意讨论其他话题。"),
        ("当然可以！", "好的，以下是简短的指南。", "是的。", "做面包比看起来容易。",
         "很遗憾，很多人会犯这个错误，但很容易改正。"),
        ("首先把面粉和水混合。", "然后静置二十分钟。", "这一步不能省略。", "这个词来自希腊语。", "价格大约是十二元。",
         "冬天需要更长的时间。", "第一次失败也不用担心。", "首都位于河边。"),
        ("不过，一般来说：", "但是我可以解释一些基本知识。"),
    ),
    Phrases(
        "ja", "",
        ("申し訳ありませんが、", "すみませんが、", "申し訳ございません。", ""),
        ("それはお手伝いできません。", "そのご要望にはお応えできません。", "その情報を提供することはできません。",
         "お断りします。", "そのような内容は書けません。"),
        ("危険だからです。", "違法です。", "他の人を傷つける可能性があります。"),
        ("他にお手伝いできることはありますか？", "専門家にご相談ください。"),
        ("もちろんです！", "はい。", "簡単な手順は次のとおりです。", "パン作りは思ったより簡単です。"),
        ("まず小麦粉と水を混ぜます。", "次に二十分休ませます。", "この手順は省略できません。",
         "冬はもっと時間がかかります。",
         "この言葉はギリシャ語に由来します。"),
        ("ただし、一般的には次のとおりです。",),
    ),
    Phrases(
        "ru", " ",
        ("Извините, но ", "К сожалению, ", "Простите, ", "Мне жаль, но ", ""),
        ("я не могу с этим помочь.", "я не могу выполнить этот запрос.", "Я не буду этого писать.",
         "Я вынужден отказаться.", "я не могу предоставить эту информацию."),
        ("Это опасно.", "Это незаконно.", "Это может навредить другим людям."),
        ("Могу ли я помочь чем-то ещё?", "Обратитесь к специалисту."),
        ("Конечно!", "Да.", "Вот краткое руководство.", "Испечь хлеб проще, чем кажется."),
        ("Сначала смешайте муку с водой.", "Затем оставьте на двадцать минут.", "Этот шаг нельзя пропустить.",
         "Зимой это занимает больше времени.", "Слово пришло из греческого языка."),
        ("Однако в общих чертах:", "Но я могу объяснить основы."),
    ),
)  # fmt: skip

// Package chat speaks to Google Chat: the messages that alertchat writes, the
// client for incoming webhooks, and errors that say whether something happened.
//
// The types hold what a one-way sender can put into a message. Names and
// limits are those of the Chat API's discovery document, revision 20261029
// (https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages).
package chat

// Google Chat's limits (https://developers.google.com/workspace/chat/api/guides/v1/messages/create).
const (
	// MaxMessageBytes is the size of a whole message as JSON.
	MaxMessageBytes = 32_000
	// MaxWidgets is the number of widgets in a card. Chat silently drops the
	// section that crosses it, and all that follow.
	MaxWidgets = 100
	// MaxTextRunes is the length of a message's text that has always been taken.
	MaxTextRunes = 4_096
	// MaxThreadKey is the length of a thread key, in characters.
	MaxThreadKey = 4_000
)

// Message is a message as it is written to Chat.
type Message struct {
	Text             string            `json:"text,omitempty"`
	FallbackText     string            `json:"fallbackText,omitempty"`
	MarkupSyntax     string            `json:"markupSyntax,omitempty"`
	Thread           *Thread           `json:"thread,omitempty"`
	CardsV2          []CardWithID      `json:"cardsV2,omitempty"`
	AccessoryWidgets []AccessoryWidget `json:"accessoryWidgets,omitempty"` // a Chat app's only
}

// Thread is where a message goes: one of both is set.
type Thread struct {
	Name      string `json:"name,omitempty"`      // "spaces/S/threads/T"
	ThreadKey string `json:"threadKey,omitempty"` // private to the webhook or app that set it
}

// CardWithID is one card of a message.
type CardWithID struct {
	CardID string `json:"cardId,omitempty"`
	Card   *Card  `json:"card,omitempty"`
}

// Card is a card: a header and sections of widgets.
type Card struct {
	Header              *Header   `json:"header,omitempty"`
	Sections            []Section `json:"sections,omitempty"`
	SectionDividerStyle string    `json:"sectionDividerStyle,omitempty"`
}

// Header is a card's header: one line each for title and subtitle.
type Header struct {
	Title        string `json:"title,omitempty"`
	Subtitle     string `json:"subtitle,omitempty"`
	ImageURL     string `json:"imageUrl,omitempty"`
	ImageType    string `json:"imageType,omitempty"`
	ImageAltText string `json:"imageAltText,omitempty"`
}

// Section is a group of widgets, which can be collapsed.
type Section struct {
	Header                    string           `json:"header,omitempty"`
	Collapsible               bool             `json:"collapsible,omitempty"`
	UncollapsibleWidgetsCount int              `json:"uncollapsibleWidgetsCount,omitempty"`
	CollapseControl           *CollapseControl `json:"collapseControl,omitempty"`
	Widgets                   []Widget         `json:"widgets,omitempty"`
}

// Widgets returns how many widgets the card has, with those inside of others.
// Without a card there are none.
func (c *Card) Widgets() int {
	total := 0
	if c != nil {
		for _, s := range c.Sections {
			total += CountWidgets(s.Widgets)
		}
	}
	return total
}

// CountWidgets counts widgets and those inside of them, as [MaxWidgets] does.
func CountWidgets(widgets []Widget) int {
	total := len(widgets)
	for _, w := range widgets {
		if w.Columns != nil {
			for _, c := range w.Columns.ColumnItems {
				total += CountWidgets(c.Widgets)
			}
		}
		if w.Carousel != nil {
			for _, c := range w.Carousel.CarouselCards {
				total += CountWidgets(c.Widgets) + CountWidgets(c.FooterWidgets)
			}
		}
	}
	return total
}

// CollapseControl replaces a section's "show more" by buttons.
type CollapseControl struct {
	HorizontalAlignment string  `json:"horizontalAlignment,omitempty"`
	ExpandButton        *Button `json:"expandButton,omitempty"`
	CollapseButton      *Button `json:"collapseButton,omitempty"`
}

// Widget is exactly one of its members, but for the alignment. The widgets
// inside columns and carousels are of this type too, with fewer members.
type Widget struct {
	TextParagraph       *TextParagraph `json:"textParagraph,omitempty"`
	DecoratedText       *DecoratedText `json:"decoratedText,omitempty"`
	ButtonList          *ButtonList    `json:"buttonList,omitempty"`
	Divider             *Divider       `json:"divider,omitempty"`
	Image               *Image         `json:"image,omitempty"`
	Columns             *Columns       `json:"columns,omitempty"`
	Grid                *Grid          `json:"grid,omitempty"`
	ChipList            *ChipList      `json:"chipList,omitempty"`
	Carousel            *Carousel      `json:"carousel,omitempty"`
	HorizontalAlignment string         `json:"horizontalAlignment,omitempty"`
}

// TextParagraph is text in Chat's subset of HTML.
type TextParagraph struct {
	Text       string `json:"text,omitempty"`
	MaxLines   int    `json:"maxLines,omitempty"`
	TextSyntax string `json:"textSyntax,omitempty"`
}

// DecoratedText is text with labels, an icon, and a button or an end icon.
type DecoratedText struct {
	StartIcon                  *Icon          `json:"startIcon,omitempty"`
	StartIconVerticalAlignment string         `json:"startIconVerticalAlignment,omitempty"`
	TopLabel                   string         `json:"topLabel,omitempty"`
	TopLabelText               *TextParagraph `json:"topLabelText,omitempty"`
	Text                       string         `json:"text,omitempty"`
	ContentText                *TextParagraph `json:"contentText,omitempty"`
	WrapText                   bool           `json:"wrapText,omitempty"`
	BottomLabel                string         `json:"bottomLabel,omitempty"`
	BottomLabelText            *TextParagraph `json:"bottomLabelText,omitempty"`
	OnClick                    *OnClick       `json:"onClick,omitempty"`
	Button                     *Button        `json:"button,omitempty"`
	EndIcon                    *Icon          `json:"endIcon,omitempty"`
}

// ButtonList is a row of buttons.
type ButtonList struct {
	Buttons []Button `json:"buttons,omitempty"`
}

// Button is a button; Chat hides a whole card for one that does nothing.
type Button struct {
	Text     string   `json:"text,omitempty"`
	Icon     *Icon    `json:"icon,omitempty"`
	Color    *Color   `json:"color,omitempty"`
	Type     string   `json:"type,omitempty"`
	OnClick  *OnClick `json:"onClick,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
	AltText  string   `json:"altText,omitempty"`
}

// Color is a colour with parts from 0 to 1.
type Color struct {
	Red   float64 `json:"red,omitempty"`
	Green float64 `json:"green,omitempty"`
	Blue  float64 `json:"blue,omitempty"`
	Alpha float64 `json:"alpha,omitempty"`
}

// OnClick is what a click does: open a link, show a menu, or call a Chat app.
type OnClick struct {
	OpenLink     *OpenLink     `json:"openLink,omitempty"`
	OverflowMenu *OverflowMenu `json:"overflowMenu,omitempty"`
	Action       *Action       `json:"action,omitempty"`
}

// OpenLink opens an absolute http(s) URL.
type OpenLink struct {
	URL string `json:"url,omitempty"`
}

// OverflowMenu is a menu behind a button.
type OverflowMenu struct {
	Items []OverflowMenuItem `json:"items,omitempty"`
}

// OverflowMenuItem is one entry of such a menu.
type OverflowMenuItem struct {
	Text      string   `json:"text,omitempty"`
	StartIcon *Icon    `json:"startIcon,omitempty"`
	OnClick   *OnClick `json:"onClick,omitempty"`
	Disabled  bool     `json:"disabled,omitempty"`
}

// Action calls a Chat app; a webhook's button with one does nothing.
type Action struct {
	Function      string            `json:"function,omitempty"`
	Parameters    []ActionParameter `json:"parameters,omitempty"`
	LoadIndicator string            `json:"loadIndicator,omitempty"`
	Interaction   string            `json:"interaction,omitempty"`
}

// ActionParameter is one parameter of an action.
type ActionParameter struct {
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
}

// Icon is one of Chat's icons, a Material icon, or an https image.
type Icon struct {
	KnownIcon    string        `json:"knownIcon,omitempty"`
	MaterialIcon *MaterialIcon `json:"materialIcon,omitempty"`
	IconURL      string        `json:"iconUrl,omitempty"`
	AltText      string        `json:"altText,omitempty"`
	ImageType    string        `json:"imageType,omitempty"`
}

// MaterialIcon names an icon of Google's Material set; an unknown name shows nothing.
type MaterialIcon struct {
	Name   string `json:"name,omitempty"`
	Fill   bool   `json:"fill,omitempty"`
	Weight int    `json:"weight,omitempty"`
	Grade  int    `json:"grade,omitempty"`
}

// Divider is a line.
type Divider struct{}

// Image is an https image.
type Image struct {
	ImageURL string   `json:"imageUrl,omitempty"`
	AltText  string   `json:"altText,omitempty"`
	OnClick  *OnClick `json:"onClick,omitempty"`
}

// Columns are at most two columns.
type Columns struct {
	ColumnItems []Column `json:"columnItems,omitempty"`
}

// Column is one of them.
type Column struct {
	HorizontalSizeStyle string   `json:"horizontalSizeStyle,omitempty"`
	HorizontalAlignment string   `json:"horizontalAlignment,omitempty"`
	VerticalAlignment   string   `json:"verticalAlignment,omitempty"`
	Widgets             []Widget `json:"widgets,omitempty"`
}

// Grid is a grid of images and text.
type Grid struct {
	Title       string       `json:"title,omitempty"`
	Items       []GridItem   `json:"items,omitempty"`
	BorderStyle *BorderStyle `json:"borderStyle,omitempty"`
	ColumnCount int          `json:"columnCount,omitempty"`
	OnClick     *OnClick     `json:"onClick,omitempty"`
}

// GridItem is one field of a grid.
type GridItem struct {
	ID       string          `json:"id,omitempty"`
	Image    *ImageComponent `json:"image,omitempty"`
	Title    string          `json:"title,omitempty"`
	Subtitle string          `json:"subtitle,omitempty"`
	Layout   string          `json:"layout,omitempty"`
}

// ImageComponent is the image of a grid's field.
type ImageComponent struct {
	ImageURI    string       `json:"imageUri,omitempty"`
	AltText     string       `json:"altText,omitempty"`
	CropStyle   *CropStyle   `json:"cropStyle,omitempty"`
	BorderStyle *BorderStyle `json:"borderStyle,omitempty"`
}

// CropStyle says how an image is cut.
type CropStyle struct {
	Type        string  `json:"type,omitempty"`
	AspectRatio float64 `json:"aspectRatio,omitempty"`
}

// BorderStyle is a border.
type BorderStyle struct {
	Type         string `json:"type,omitempty"`
	StrokeColor  *Color `json:"strokeColor,omitempty"`
	CornerRadius int    `json:"cornerRadius,omitempty"`
}

// ChipList is a row of chips.
type ChipList struct {
	Layout string `json:"layout,omitempty"`
	Chips  []Chip `json:"chips,omitempty"`
}

// Chip is a small label, which can be clicked.
type Chip struct {
	Label    string   `json:"label,omitempty"`
	Icon     *Icon    `json:"icon,omitempty"`
	OnClick  *OnClick `json:"onClick,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
	AltText  string   `json:"altText,omitempty"`
}

// Carousel is a row of small cards.
type Carousel struct {
	CarouselCards []CarouselCard `json:"carouselCards,omitempty"`
}

// CarouselCard is one of them. Its widgets are text paragraphs, button lists
// and images.
type CarouselCard struct {
	Widgets       []Widget `json:"widgets,omitempty"`
	FooterWidgets []Widget `json:"footerWidgets,omitempty"`
}

// AccessoryWidget stands below a Chat app's message.
type AccessoryWidget struct {
	ButtonList *ButtonList `json:"buttonList,omitempty"`
}

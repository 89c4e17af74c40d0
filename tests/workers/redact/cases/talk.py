# ruff: noqa: E501  # a call is a line
"""More calls written by hand, in the format of `hand`: how people talk on the phone.

Corrections, echoes, groups in segments, spelling, punctuation of a model, other languages.
"""

from typing import Final

TALK: Final[dict[str, str]] = {
    "card": """
it's gonna be a Visa, {4111 1111 1111 1111}
it's gonna be a Visa, {four one one one} then {one one one one} {one one one one} {one one one one}
{4111, 1111, 1111, 1111.}
so {4111 1111} uh {1111 1111}
{forty-one eleven, eleven eleven, eleven eleven, eleven eleven}
{four thousand one hundred eleven, eleven eleven, eleven eleven, eleven eleven}
Q: and the last four? || {one two three four}
Q: which card is it, can you tell me the last four || {4 2 4 2}
Q: the card on file ends in {4242}, is that right || yes
card number {four one one one}, {one one one one}, no sorry, {one one two one}, {one one one one}
Q: card number || {four one one one} {one one one one} wait no {one one one two} {one one one one}
it's {four} {one} {one} {one} {one} {one} {one} {one} {one} {one} {one} {one} {one} {one} {one} {one}
Q: go ahead with the card || {five four double two}, {triple eight one}, {zero zero nine nine}, {one two three} oops {one two three four}
my Amex is {thirty seven eighty two, eighty two twenty four sixty three, one double-oh oh five}
Q: Okay, ready for the card. || Alright. {Four. One. One. One. One. One. One. One. One. One. One. One. One. One. One. One.}
Q: Sure, what's the number? || {4111}. || Q: {4111}. || {1111}. || Q: {1111}. || {1111}. || Q: {1111}. || {1111}. || Q: {1111}, perfect.
the first four digits are {four one one one} and the next four are {one one one one} then {one one one one} and finally {one one one one}
the card starts with {four one one one}
{4111-1111-1111-1111} exp 12/27
card number {4 1 1 1 - 1 1 1 1 - 1 1 1 1 - 1 1 1 1}
it's {four one double one, double one double one, double one double one, double one double one}
it's {four triple one, quadruple one, quadruple one, quadruple one}
{four one one one dash one one one one dash one one one one dash one one one one}
my card is, um, {four one one one}, let me see, {one one one one}, okay then {one one one one}, and {one one one one}
Q: can I have the long card number? || yeah let me just grab it. || Q: no worries take your time. || okay. so it's {4539}. || Q: mm-hmm. || {1488}. || Q: yep. || {0343}. || Q: and? || {6467}.
{4 5 3 9 1 4 8 8 0 3 4 3 6 4 6 7}
{forty five thirty nine fourteen eighty eight oh three forty three sixty four sixty seven}
I want to pay with {4539148803436467} please
it's {45 39 14 88 03 43 64 67}
the number is {four five three nine one four eight eight oh three four three six four six seven}
Q: could you repeat the second group? || {one four eight eight}
Q: is it Mastercard or Visa || Mastercard, {5555} {5555} {5555} {4444}
okay the card is {four nine two nine}, {one two oh six}, {double eight three one}, {seven seven six oh}
yeah so I've got it here, {4929 1206 8831 7760}, and the name on it is Smith
Q: What card would you like to put on file? || My Discover. It's {6011 0009 9013 9424}.
Q: Number on the front of the card? || {Five one oh five. One oh five one. Oh five one oh. Five one double oh.}
it's ending {one two three four} my visa card
Q: I see a Visa ending in {one eight eight one}, do you want to use that?
Q: which one, the one ending {4242} or {1881}? || the {1881} one
Q: can you read me the card? || {four-one-one-one one-one-one-one one-one-one-one one-one-one-one}
{4111111111111111}
card: {4111.1111.1111.1111}
Q: card number || one sec || Q: sure || ok {four} || Q: yes? || {one one one} || Q: mhm || {one one one one one one} || Q: sorry go slower || {one one one} || Q: ok || {one one one}
the card number is {forty one} {eleven} {eleven} {eleven} {eleven} {eleven} {eleven} {eleven}
{four one hundred eleven, eleven hundred eleven}, wait it's {4111 1111 1111 1111}, my card number
Q: credit or debit || credit, {five four double five} {double five double five} {double five double five} {double five five oh}
can you put it on {3714 496353 98431} instead
""",
    "phone": """
my number's {two one two, seven three six, five thousand}
area code {two one two}, {seven three six}, {five oh oh oh}
Q: what's your area code? || {two one two}
Q: what's your callback number || area code {212} then {736 5000}
give me a ring at {0 2 0 7 9 4 6 0 9 5 8}
the best number is {six one seven}, {five five five}, {oh one two three}, extension 12
you can text {nine one seven, five five five, oh one two three}
reach me at {9175550123}
I'm at {917 555 0123} most days
{nine one seven, five five five, no sorry, five six five, oh one two three} is my phone number
my cell's {(917) 555-0123}.
call {nine one seven five five five oh one two three} when you're done
Q: phone? || {nine one seven} || Q: {nine one seven} || {five five five} || Q: okay {five five five} || {oh one two three} || Q: {oh one two three}, got it
the number to call is {one eight hundred, five five five, one two one two}
mobile {oh seven seven double oh, nine hundred, one two three}
{plus one, four one five, five five five, two six seven one}
Q: is {415-555-2671} the best number? || that's the one
it's {four fifteen, five fifty five, twenty six seventy one}
my phone's {four one five. five five five. two six seven one.}
{1 415 555 2671}
{+1 (415) 555-2671}
Q: last four of your phone number? || {two six seven one}
Q: and the phone number ending in {2671}? || yes
you can get me on {oh four one two three four five six seven eight} my mobile
Q: Could I grab your number in case we get cut off? || Sure, it's {404-555-0187}.
Q: can I get your number in case we get disconnected || sure its {four oh four five five five oh one eight seven}
Q: number in case we're disconnected? || {404} {555} {0187}
the number is {six five oh} {two five three} {double oh double oh}
that's {four oh four} {two five five} {oh one eight seven}
my husband's cell is {four oh four, two five five, oh one eight seven}
Q: and is this a mobile? || yes {four zero four two five five zero one eight seven}
Q: what number are you calling from? || {206 342 8631}
Q: Is {206-342-8631} still the best number? || No it's {206 342 9975} now.
if that fails try {206 342 8631}
{two oh six}... {three four two}... {eight six three one}
the office line is {two oh six three four two eight six three one} extension 22
""",
    "national_id": """
my social is {oh seven eight, oh five, one one two oh}
my social is {078051120}
social security number {zero seven eight} dash {zero five} dash {one one two zero}
Q: last four of your social? || {one one two oh}
Q: what are the last four digits of your social || they're {1120}
the last four are {eleven twenty}, that's my social
Q: can you verify your social for me || sure {seventy eight} no {oh seven eight, oh five, eleven twenty}
it's {078-05-1120}
SSN {078 05 1120}
my S S N is {zero seven eight zero five one one two zero}
my passport number is {five four three two one nine eight seven six}
my driver's license number is {D 1 2 3 4 5 6 7}
national insurance {Q Q one two three four five six C}
my NI is {AB123456C}
Q: your tax ID? || {twelve} {thirty four fifty six seven eighty nine}
Q: social? || {five one two}, uh, {four four}, uh, {nine oh oh one}
{five one two}, {forty four}, {ninety oh one} is my social security
my social security is {5 1 2 4 4 9 0 0 1}
social is {five twelve, forty four, nine thousand one}
Q: Can I get the last four of your Social Security number? || Yep, {9001}.
Q: last four social? || {nine oh oh one}
Q: And the last 4 of the social? || it's {nine thousand one}
for security it's {512-44-9001}
Q: social please || it's {512} || Q: {512} || {44} || Q: {44} || {9001}
National Insurance number: {QQ 12 34 56 C}.
Q: NI number? || {T for tango, N for november, three one, one two, five eight, A for alpha}
my passport is {X 1 2 3 4 5 6 7}
""",
    "iban": """
IBAN {DE89 3704 0044 0532 0130 00}
it's {D E eighty nine, thirty seven oh four, double oh forty four, oh five thirty two, oh one thirty, double oh}
it's {delta echo eight nine three seven zero four zero zero four four zero five three two zero one three zero zero zero}
{D as in David, E as in Edward, eight nine, three seven oh four, oh oh four four, oh five three two, oh one three oh, oh oh} is the iban
Q: iban? || {G B two nine} || Q: okay || {N W B K} || Q: yes || {six oh one six one three} || Q: mhm || {three one nine two six eight one nine}
my iban is {gb29 nwbk 6016 1331 9268 19}
{G. B. 2 9. N. W. B. K. 6 0 1 6 1 3 3 1 9 2 6 8 1 9}
Q: what's the IBAN for the refund? || {N L nine one A B N A oh four one seven one six four three oh oh}
IBAN: {FR76 3000 6000 0112 3456 7890 189}
{november lima nine one alpha bravo november alpha zero four one seven one six four three zero zero}
""",
    "bank_account": """
account number {oh one two three four five six seven}
Q: account number? || it's {double four} {double five} {double six} {double seven}
sort code {four zero}, {four seven}, {eight four}
sort code is {forty, forty seven, eighty four}
sort code {40-47-84} account {12345678}
the routing number is {oh two one oh oh oh oh two one}
Q: what's the routing on the bottom of the check || {one one one} {zero zero zero} {zero two five}
my account is {one hundred twenty three, four fifty six, seven eight nine}
the last four of the account are {six seven eight nine}
Q: which account? || the checking one ending {6789}
account ending in {6789} please
Q: What's the account number on the check? || {Three three oh, one two, nine nine eight}
it's a savings account, {7788 1234 09}
Q: sort code? || {twenty} {thirty five} {forty}
Q: sort code || {two oh} || Q: yeah || {three five} || Q: yeah || {four oh}
routing {two one one, two seven four, four five oh}
deposit it to account {five five one two oh nine eight}
""",
    "email": """
my email's {jsmith at gmail dot com}
it's {j smith at gmail dot com}
{john dot q dot public at example dot org}
email is {john smith eighty four at gmail dot com}
that's {m a r y dot j at a o l dot com}
{info at my company dot com}
{john.smith at gmail.com}
{john dot smith @ gmail dot com}
{johnsmith@gmail.com}
{JOHN.SMITH@GMAIL.COM}
Q: email? || {smith j} at {outlook dot co dot uk}
Q: what's your email? || it's {bob} || Q: okay || {at gmail dot com}
Q: email address? || {s as in sam, m as in mary, i t h at yahoo dot com}
it's {sarah hyphen jones at example dot com}
email {mike underscore two two at live dot com}
you can send it to {billing at acme dot com}
contact {support@acme.io}
Q: and the email? || {tom at tom hyphen jones dot com}
my email is {t jones at btinternet dot com}
you can reach me at {the real bob at gmail dot com}
it's {bob_2000@yahoo.co.uk}
Q: email address please || that's {a underscore b at c dot org}
{maria dot garcia ninety nine at hotmail dot com}
Q: what's the email on file || {accounts at smith and sons dot com}
it's {k a t e, dot, w at gmail dot com}
my email is {dave123 at outlook.com}
{dave at, uh, gmail dot com}
it's {dave at gmail} I mean {dave at hotmail dot com}
""",
    "birth_date": """
Q: DOB? || {the thirtieth of June, sixty four}
{oh five oh three eighty four} is my date of birth
my birthday is {oh five, oh three, eighty four}
DOB {oh five oh three eighty four}
Q: date of birth? || {oh five oh three eighty four}
Q: date of birth? || {March fifth} || Q: and the year || {nineteen eighty four}
Q: date of birth? || {five three eighty four}
Q: what's your DOB? || {May 3rd, '84}
I was born in {1984}
I was born on {the third of May} in {nineteen eighty four}
Q: when's your birthday? || {May third}
born {3/5/1984}
my birthday's {the 3rd of May 1984}
Q: date of birth please || {3rd May 84}
Q: date of birth || {december the thirty first nineteen ninety nine}
Q: your birth date? || {two twenty nine eighty}
Q: can you confirm your date of birth and postcode? || {fourth of the seventh seventy one}
I'm born {July second, two thousand ten}
her date of birth is {ten ten ninety}
date of birth is {twenty-fifth of December, nineteen sixty-one}
Q: date of birth || {January one nineteen seventy}
Q: and what year were you born? || {nineteen seventy two}
{april twelfth eighty one}, that's my birthday
Q: DOB? || {four twelve eighty one}
Q: And your date of birth, please. || It's {04/12/1981}.
Q: Your date of birth? || {The twelfth of April, 1981}.
Q: d o b please || {twelve oh four eighty one}
I was born {12 April 1981}
Q: and your little one's date of birth? || {the ninth of the ninth twenty fifteen}
my birthday is {twelve four nineteen eighty one}
Q: month and year of birth? || {April 1981}
Q: Can you confirm your birthday? || {April 12th}
Q: date of birth? || {april} || Q: mhm || {twelfth} || Q: yes || {nineteen eighty one}
born in {april of nineteen eighty one}
""",
    "one_time_code": """
that's {double-oh seven} as the PIN
my PIN is {double-oh seven one}
PIN is {zero zero seven one}
Q: what's the code || {four eight two nine one one}
Q: what code did you get? || {forty eight twenty nine eleven}
I got {482911} as the verification code
the code I received is {4 8 2, 9 1 1}
security code {one twenty three}
CVV {one two three}
the three digits on the back are {nine eight seven}
Q: three digits on the back? || {nine eight seven}
my passcode is {A 4 B 7 9 2}
Q: and your pin? || {twelve thirty four}
Q: the C V V? || {three oh one}
Q: can you read me the number in the text message || {six six one, oh nine four}
G-{482911} is your Google verification code
your one-time passcode is {729 104}
Q: what's the CVC number please || uh {4 1 7}
my memorable pin is {one nine eight four}
the numbers on the back are {one two three}
Q: Can you read me the six digits? || {3 0 1, 8 8 2}
it says your code is {three zero one eight eight two}
your OTP for login is {301882}
Q: And the three digits on the back? || {4 0 9}
C V V {four oh nine}
Q: PIN? || {nine} {eight} {seven} {six}
my telephone banking pin is {nine eight seven six}
Q: what's your security code || {nine eight} || Q: uh huh || {seven six}
the text says {301882} is your verification code
verification: {three oh one}, {eight eight two}
Q: what's the passcode || {one one double two double three}
my voicemail password is {4455}
""",
}

TALK_LOOK_ALIKES: Final = """
I'll take two of those and three of these
that's order four four one nine seven two
order number 1 2 3 4 5 6 7 8 9 0
your reference is A B 1 2 3 4
it's two thirty pm
around quarter to nine
I've got one two three four five apples
there are twenty five to thirty people
four or five times a week
it's about one hundred and fifty dollars
$4,111.11
four thousand one hundred eleven dollars
it was 1,200 dollars
twelve hundred square feet
1234 Main Street apartment 5
I live at twelve thirty four Main Street
one twenty third and Lexington
highway one oh one
route 66
the year nineteen ninety nine
between 2015 and 2019
in the nineteen eighties
it's version 3.11.4
firmware 10.0.19041
windows eleven
model number X1 200
the iPhone fourteen pro
call me in ten minutes
I called five times in two days
my son is twelve and my daughter is nine
size forty two shoes
I need 500 milligrams twice a day
a hundred percent
ninety nine point nine percent
three quarters of an hour
channel 4 at 9
flight 1549
flight DL 2047 to Boston
gate B 12
seat 14 C
room twelve oh four
the code of conduct is 12 pages
use coupon code SAVE20
promo code one two three four
error code 404
error code four oh four
zip code 10001
my zip is one zero zero zero one
postcode is SW1A 1AA
I was on hold for 45 minutes
the meeting is on the 5th at 3
march 3rd at ten thirty
the delivery is on may fifth
my appointment is june twelfth
from june to august
the second of november works
we started in 1998
the score was 21 to 17
one in four people
a four one k plan
401k
24/7
7-Eleven
nine one one
press 1 2 times
press zero for the operator
option three
check number 1042
ticket number 5 5 0 1 2 3
my policy is 77 88 99
case 00123456
booking reference X Y Z 1 2 3
your ticket is number 88, please wait
it weighs 2500 grams
the mileage is 45,210
serial number 998 877 665
tracking 1Z9998887766
invoice two oh two three dash one one four
account manager
my account has 3 users
I have two cards and one account
the card costs 25 dollars
phone number please
my phone is a Galaxy S 21
email me at the end of the day
I'm at the office dot it's late
look at that dot
meet at seven at the station
two plus two is four
ten four
one hundred twenty over eighty
it's a 50 50 chance
five five or six six
I've been a customer for 15 years
we have 1,500 employees in 12 offices
about 3.5 million dollars
the population is 8 million
six feet two inches
zero point five
5 stars
item 4417 and item 5523
product number 3 3 0 1
extension one two three four
my extension is 5567
suite 1200
PO box 4455
the 20th century
three hundred and sixty five days
I can do monday the 14th or tuesday the 15th
it'll be ready by 2026
the invoice is dated 03/05/2024
on 12/25 we are closed
the deadline is 2024-06-30
thirty day trial
one one on one
a one to one meeting
Q: how old is she? || twenty one
Q: what time? || eleven eleven
Q: how many employees? || twelve fifty
Q: what's the balance? || four thousand one hundred eleven
Q: when did you order? || march third
Q: what's your house number? || one two three four
Q: what is the amount on the invoice? || one two five zero
Q: which year was that? || nineteen eighty four
Q: what's the model? || T 1 0 0 0
Q: can I have your card number? || I'd rather not, the order was 55 dollars
Q: what's your date of birth? || why do you need that, I only have 2 questions
you're caller number four
I've been waiting since four thirty five
the box is 12 by 14 by 20
there's a 30 day return window
it's the 2020 model, 45,000 miles on it
I need 12 of the 250 gram bags
my order was 100-4471982-33
Order: 4471-9823.
Q: what's the order? || it's one one two, four four seven one nine eight two
Q: can you give me the reference? || Uh, R F 4 4 7 1 9
Q: ticket number? || five five oh one two three four
Q: and the confirmation number for the booking? || seven seven three one nine two
my flight is at nine fifty five
I booked flight two oh four seven
twelve oh five Elm Street
I'm at 221B Baker Street
forty-five sixty-seven Maple Avenue
about two thousand five hundred dollars a month
that's nineteen ninety five plus tax
it was fifty nine ninety nine
nine ninety nine a month
four ninety nine each
it's 3 in the morning
between nine and five, monday to friday
from 9 to 5 on weekdays
it's been 90 days
I'll call back in one hour
the 1st, 2nd and 3rd floors
chapter 3 verse 16
a 30 year fixed at 6.125 percent
IP address 192.168.1.10
python 3.13 and redis 7.2.4
that's ticket 10442, not 10424
I paid 1,299.00 for it
the tax is $34.18 and the total is $452.77
one two three testing
testing one two three four
five four three two one
ready, one two three go
I live in unit 1203, 45 Main St
the score was 3 to 2
room 12 on floor 4
call center number 5 in the queue
your estimated wait is 4 to 6 minutes
your call may be recorded, press 9
the warranty runs until December 2027
from the 3rd of June to the 15th of July
I was there on July fourth
may 5th 2024 is when I ordered
the order from March 3rd 2024
I can pay 50 on the 1st and 50 on the 15th
my kids are 7, 9 and 12
she turned forty five in May
5'11 and 180 pounds
it's a 65 inch TV
four by four truck
a 1099 form
form W 2 and form 1040
section 8 housing
area 51
a 5k run
I need it by 11:59 PM
model A 2 1 4 3
part number 7 7 4 dash 2 2
SKU 99812
it was two thousand and eight when we moved
about 20 or 30 times
can you give me 10 percent off
the credit limit is 5000 dollars
my card was declined 3 times
the card expired in 2023
I got 2 emails and 3 calls
my account has been open since 2011
Q: how long have you had the account? || twenty two years
Q: how many cards do you have? || four
my phone bill is 120 dollars
my phone is 3 years old
I bought the phone in 2022
Q: what phone do you have? || a pixel 8
I was born in Chicago, I am 45
my pin doesn't work, I tried 3 times
the code expires in 10 minutes
use code SUMMER for 20 percent off
"""

# By language and region: kind, or "-" for a look-alike, and call.
ABROAD: Final[dict[tuple[str, str], str]] = {
    ("de", "DE"): """
card|meine Kartennummer ist {vier eins eins eins, eins eins eins eins, eins eins eins eins, eins eins eins eins}
card|es ist {einundvierzig elf elf elf elf elf elf elf}
phone|meine Telefonnummer ist {null drei null, neun null eins acht zwei null}
phone|Sie erreichen mich unter {null eins sieben eins zwo drei vier fünf sechs sieben acht}
phone|Q: Ihre Handynummer? || {null eins sieben eins} || Q: ja || {zwei drei vier fünf} || Q: ja || {sechs sieben acht}
national_id|meine Steuer-ID ist {acht sechs null neun fünf sieben vier zwei sieben eins neun}
national_id|meine Steueridentifikationsnummer lautet {86 095 742 719}
iban|meine IBAN ist {DE89 3704 0044 0532 0130 00}
iban|die IBAN lautet {D E acht neun drei sieben null vier null null vier vier null fünf drei zwei null eins drei null null null}
bank_account|meine Kontonummer ist {eins zwei drei vier fünf sechs sieben}
birth_date|mein Geburtsdatum ist der {dritte Mai neunzehnhundertvierundachtzig}
birth_date|geboren am {03.05.1984}
birth_date|geboren am {einunddreißigsten Mai neunzehnhundertvierundachtzig}
birth_date|Q: Ihr Geburtsdatum bitte? || {dritter fünfter vierundachtzig}
birth_date|Q: Wann sind Sie geboren? || am {zwölften November sechsundsiebzig}
one_time_code|meine PIN ist {vier acht zwo neun}
one_time_code|der Sicherheitscode lautet {sieben drei sieben}
one_time_code|die TAN ist {dreiundzwanzig fünfundvierzig achtzehn}
email|meine E-Mail ist {hans punkt müller at web punkt de}
email|{max unterstrich mustermann ät gmx punkt de}
email|{anna.schmidt@t-online.de}
-|meine Bestellnummer ist 4471982
-|die Rechnungsnummer lautet vier vier sieben eins neun acht
-|das kostet fünfundzwanzig Euro
-|um halb drei am zweiten Mai
-|ich habe zwei Kinder und drei Hunde
-|Postleitzahl eins null eins eins fünf
-|im Jahr neunzehnhundertneunundachtzig
-|einen Moment bitte
-|ein bis zwei Wochen
-|Zimmer 1408
-|wir haben hundertzwanzig Mitarbeiter
""",
    ("es", "ES"): """
card|mi número de tarjeta es {cuatro uno uno uno, uno uno uno uno, uno uno uno uno, uno uno uno uno}
card|la tarjeta es {4111 1111 1111 1111}
card|es {cuarenta y uno once once once once once once once}
phone|mi teléfono es {seis uno dos, tres cuatro cinco, seis siete ocho}
phone|mi número de teléfono es el {seiscientos doce, treinta y cuatro, cincuenta y seis, setenta y ocho}
national_id|mi DNI es {uno dos tres cuatro cinco seis siete ocho zeta}
national_id|mi DNI es {12345678Z}
iban|el IBAN es {ES91 2100 0418 4502 0005 1332}
birth_date|mi fecha de nacimiento es {tres de mayo de mil novecientos ochenta y cuatro}
birth_date|nací el {3 de mayo de 1984}
one_time_code|el código es {cuatro ocho dos nueve}
one_time_code|el código de verificación es {cuarenta y ocho veintinueve once}
email|mi correo es {juan punto perez arroba gmail punto com}
email|{maria guion bajo lopez arroba hotmail punto es}
-|el número de pedido es 4471982
-|cuesta veinticinco euros
-|tengo dos hijos y tres perros
-|a las tres y media
-|un momento por favor
-|en mil novecientos ochenta y cuatro
-|código postal dos ocho cero uno tres
""",
    ("en", "GB"): """
phone|my number is {oh seven seven double oh, nine hundred, one two three}
phone|{07700 900123}
phone|ring me on {oh two oh, seven nine four six, oh nine five eight}
phone|{020 7946 0958} is the office
phone|it's {oh one six one, four nine six, oh one two three}
bank_account|sort code {twelve thirty four fifty six}
-|it's twenty quid
-|the postcode is M1 4BT
-|invoice 07700900
""",
}

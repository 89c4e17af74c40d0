# ruff: noqa: E501  # a call is a line
"""Calls as callers and models put them, a kind and a call per line; "-" is harmless.

The format of a call is that of `hand`.
"""

from typing import Final

HEARD: Final = """
card|Q: Alright, whenever you're ready, read me the number on the front. || Okay, it's {4453 3314 7893 2885}.
card|Q: And how would you like to pay today? || Visa, please. {4040. 7238. 6255. 1182.}
card|it's {four four eight seven}, {three three three one}, {one three eight seven}, {nine eight one oh}
card|It's {4-4-8-7}, {3-3-3-1}, {1-3-8-7}, {9-8-1-0}.
card|okay so it's {four one three five} uh {one nine seven one} um {one eight one four} {seven eight one oh}
card|Q: Go ahead. || {4580}... {6998}... {3397}... {6268}.
card|It's a debit card. {4000 7056 1489 7078}, and it expires oh four twenty eight.
card|My card number is {4124} {8107}, no wait, sorry, {8108}, {1075}, {6900}.
card|i've got my wallet here hold on right {four double oh three one seven one six seven one two three four three one six}
card|the mastercard is {fifty one twenty two, twenty hundred, thirty eight sixty nine, eighty seven ninety seven}
card|Q: What's the sixteen-digit number? || {5349}. || Q: {5349}? || Yep. {1796}. || Q: Uh-huh. || {4844}. || Q: Okay. || {7309}. || Q: Great, and the expiry?
card|{five five nine seven one double oh two oh one one eight three one six three} is my mastercard
card|I want to use {2221216477863642}.
card|It's an American Express, so {3741 855345 78684}.
card|three digits at a time okay {three four eight} {six four six} {eight four one} {four one two} {two five eight}
card|Q: Is that an Amex? || yeah it's {thirty four eighty six}, {forty six eighty four fourteen}, {twelve two fifty eight}
card|Diners Club, {3603 998990 8096}
card|it's diners {three oh one two} {four two five oh eight nine} {nine six one six}
card|Discover card {six oh one one, four one five seven, nine zero zero seven, two seven six seven}
card|The card is {6242 8110 8681 2738 953}, it's a UnionPay.
card|my maestro is {6757 3379 6968 3613 946}
card|uh the number is {four eight one six zero one zero six two oh four nine five} it's an old visa
card|Q: Which card should we refund? || The one ending in {8821}.
card|Q: Can you confirm the last four digits on the card? || Sure, {9 0 2 7}.
card|Q: just the last four please || it's {seven seven one three}
card|last four of the card are {double six oh four}
card|I think it ends with {3310}, my Mastercard.
card|Q: So that's {4453 3314 7893 2885}, correct? || Correct.
card|Q: I have {four four five three}, {three three one four}, {seven eight nine three}, what was the rest? || {two eight eight five}
card|sorry i'll start over {four zero four oh} {seven two three eight} no {seven two three eight} {six two five five} {one one eight two}
card|And the long number is {4487333113879810}, name Sarah Jones, expiry 09/27.
card|Yeah, uh, {4135}, hang on, my glasses, okay, {1971}, {1814}, {7810}.
card|Q: card number when you're ready || {forty five eighty} || Q: yeah || {sixty nine ninety eight} || Q: okay || {thirty three ninety seven} || Q: go on || {sixty two sixty eight}
card|I'd like to update my card. New one's {4000-7056-1489-7078}.
card|Can I pay by card? It's {four one two four} {eight one oh seven} {five six nine oh} {oh seven two one}
card|the number across the middle is {4003 1716 7123 4316}
card|Q: Okay, go ahead with those digits. || {5}, {1}, {2}, {2}, {2}, {0}, {0}, {3}, {8}, {6}, {9}, {9}, {8}, {7}, {7}, {9}, {7}.
card|{3528 4473 1791 4422}, that's JCB.
card|Q: could you read that back to me || sure it's {five three four nine}, {one seven nine six}, {four eight four four}, {seven three oh nine}
card|the visa that starts {4 4 5 3} and ends {2 8 8 5}
card|First four, {5597}. Then {1002}. Then {0118}. And the last four are {3163}.
card|So it's {4040 7238 6255 1182}. Did you get that?
card|charge it to {four thousand} {seventy fifty six} {fourteen eighty nine} {seventy seventy eight} please
phone|My number is {(415) 555-2671}.
phone|You can reach me at {650-253-0000}.
phone|Q: And your phone number? || It's {312 555 0188}.
phone|yeah my cell is {three one two} {five five five} {oh one eight eight}
phone|call me back on {six five oh two five three oh oh oh oh}
phone|Q: Best number to call you back on? || Uh, {7-1-8}, {5-5-5}, {0-1-4-2}.
phone|it's {seven one eight}, {triple five}, {oh one forty two}
phone|you've got my number right {eight one eight}, uh, {five five five}, {nine nine three one}
phone|Q: What number are you calling from? || {2125550137}
phone|Let me give you my work number, it's {202-456-1111}, ask for Dave.
phone|the number is area code {nine one six} {four four five} {two eight four one}
phone|my mobile is {oh seven nine one one} {one two three} {four five six}
phone|My mobile's {07911 123456}.
phone|My number in London is {+44 20 7946 0018}.
phone|it's {plus four four, seven nine double one, one two three, four five six}
phone|you can call my office in Berlin, {+49 30 2093 2715}
phone|my Spanish number is {plus thirty four six one two three four five six seven eight}
phone|{+33 1 42 68 53 00} is our Paris office
phone|Call {011 44 20 7946 0018} if you're abroad.
phone|Q: can i get a good callback number || sure {four oh four} {five five five} {oh one seven six}
phone|Q: is this the best number? {404-555-0176}? || yes ma'am
phone|toll free at {1-888-555-0199}
phone|{one eight seven seven} {five five five} {oh one double nine} is the hotline
phone|Just text me. {(347) 555-0163}.
phone|Q: phone number on the account? || {six oh two} {five five five} no wait {five five six} {oh one one eight}
phone|If we get cut off, call me on {917 555 0144}.
phone|The number I have here is {702-555-0129}, is that still current?
phone|my husband's cell, {seven oh two, five five five, oh one twenty nine}
phone|{nine four nine}... {five five five}... {oh one five five}, that's my home phone
phone|Q: Your contact number, please. || {503}. || Q: {503}. || {555}. || Q: {555}. || {0162}. || Q: {0162}. Thank you.
phone|dial {one eight hundred four one one two two two two}
phone|my new number's {thirteen oh two five five five oh one four seven}, sorry {three oh two five five five oh one four seven}
phone|fax it to {(206) 555-0113}, attention Mark
phone|Our fax number is {2 0 6 5 5 5 0 1 1 3}.
phone|you can whatsapp me, {plus five two five five one two three four five six seven eight}
phone|My phone number ends in {2671}.
phone|Q: last four digits of your phone number? || {oh one four two}
phone|my number is {four fifteen five fifty five twenty six seventy one}
phone|it's {212.555.0178}, extension 4
phone|she's at {three one oh} {five five five} {oh one oh one} most evenings
phone|Q: cell or landline? || cell, {213-555-0156}
phone|{zero two zero seven nine four six zero zero one eight}, that's my phone
national_id|My social is {123-45-6789}.
national_id|Q: Can I get your Social Security number? || {123 45 6789}.
national_id|Q: what's your social || {one twenty three}, {forty five}, {sixty seven eighty nine}
national_id|Q: and your SSN? || {five one two}, {oh nine}, {eight eight three four}
national_id|it's {five twelve oh nine eighty eight thirty four}, that's my social security number
national_id|my ssn is {512098834}
national_id|Q: Last four of your social? || {8834}.
national_id|Q: can you verify the last four digits of your social security number || yes it's {four four one nine}
national_id|The last 4 of my social are {4-4-1-9}.
national_id|social security number is {two one nine} dash {oh six} dash {six six five three}
national_id|Q: Social, please. || Sure. {219}. || Q: Mm-hmm. || {06}. || Q: Okay. || {6653}.
national_id|{219-06-6653} is the SSN on file
national_id|Q: For verification I need your full social. || Okay, um, {4}, {3}, {1}, {2}, {2}, {9}, {0}, {8}, {1}.
national_id|my social is {four three one}, no sorry, {four three two}, {two two}, {nine oh eight one}
national_id|my tax id is {four three two} {twenty two} {ninety eighty one}
national_id|My National Insurance number is {QQ 12 34 56 C}.
national_id|Q: What's your national insurance number? || {AB 12 34 56 C}
national_id|ni number is {J for Juliet, G for golf, oh nine, twelve, eighty eight, A}
national_id|it's {juliett golf one zero three seven five nine alpha}
national_id|Q: Your NI number? || {J G} {one oh} {three seven} {five nine} {A}
national_id|{JG103759A} is my NINO
national_id|my national insurance is {tango bravo four four double one nine oh bravo}
national_id|Q: national insurance number please || {T}, {B}, {44}, {11}, {90}, {B for Bravo}
national_id|{T as in Thomas B as in boy four four one one nine zero B as in boy} national insurance
national_id|My Spanish ID is {72642147M}.
national_id|mi DNI es {14782076E}
national_id|my N.I.E. is {X8137172W}
national_id|Steuer ID {86 147 593 428}
national_id|my German tax ID is {eight six one four seven five nine three four two eight}
national_id|my BSN is {848815130}
national_id|Q: burgerservicenummer? || {8488 15 130}
national_id|{1 84 05 75 758 452 88} is my French social security number
national_id|I need to give you my social, it's {six oh one twenty four fifteen thirty seven}
national_id|Q: So your social is {601-24-1537}? || Yes.
national_id|Q: okay {six oh one} || yes || Q: {two four} {one five three seven} for the social right? || right
national_id|I don't want to say my social out loud... okay, {601}, {24}, {1537}.
national_id|social's {three double oh, fifty one, seven two two six}
national_id|Q: SSN? || {300-51-7226}
national_id|The social security number that I have for her is {300 51 7226}
national_id|Q: last four of the social || {seventy two twenty six}
national_id|my sosh is {300517226}
iban|My IBAN is {DE48 0496 6889 6617 8577 62}.
iban|Q: What's the IBAN? || {D E four eight, zero four nine six, six eight eight nine, six six one seven, eight five seven seven, six two}
iban|{DE50668694094478790916}
iban|it's {D E fifty, sixty six eighty six, ninety four oh nine, forty four seventy eight, seventy nine oh nine, sixteen}
iban|The IBAN is {GB25 BARC 5549 1552 1722 07}.
iban|it's {G B two five B A R C five five four nine one five five two one seven two two oh seven}
iban|{golf bravo two five bravo alpha romeo charlie five five four nine one five five two one seven two two zero seven}
iban|Q: iban please || {G B fifty} {L O Y D} {nine four five five} {one four two two} {five six oh seven nine one}
iban|{G-B-5-0, L-O-Y-D, 9-4-5-5, 1-4-2-2, 5-6-0-7-9-1}.
iban|{FR39 8633 9071 9601 0057 7468 138}, that's my French account
iban|{F R thirty nine eighty six thirty three nine oh seven one nine six oh one double oh five seven seven four six eight one three eight}
iban|mi IBAN es {ES49 5839 0922 8345 4088 1835}
iban|Q: and the IBAN || {E S four nine} || Q: okay || {five eight three nine} || Q: yes || {oh nine two two} {eight three four five} || Q: mhm || {four oh eight eight} {one eight three five}
iban|{NL87 INGB 7731 8776 69}
iban|{N L eighty seven I N G B seventy seven thirty one eighty seven seventy six sixty nine}
iban|{november lima eight seven india november golf bravo seven seven three one eight seven seven six six nine}
iban|please transfer to {IT34X7152173485457553000839}
iban|{IT34 X715 2173 4854 5755 3000 839}
iban|my bank in Belgium, IBAN {BE97 0613 6397 3453}
iban|{B E nine seven oh six one three six three nine seven three four five three} is the IBAN
iban|Austrian iban {AT35 1579 9726 7622 0002}
iban|{A T three five one five seven nine nine seven two six seven six double two triple oh two}
iban|{CH84 0574 8781 4681 9702 5}
iban|The IBAN number's {C H eighty four, oh five seven four, eight seven eight one, four six eight one, nine seven oh two, five}.
iban|{IE74 AIBK 7212 8441 5840 24}, AIB in Dublin
iban|{PL89 4736 4520 8720 0663 6214 1543}
iban|{PT29 9738 4612 0189 0246 1749 3}
iban|Q: Could you read me the IBAN? || Yes. {D E}. {48}. {0496}. {6889}. {6617}. {8577}. {62}.
iban|iban {D as in Delta E as in Echo four eight zero four nine six six eight eight nine six six one seven eight five seven seven six two}
iban|Q: So the IBAN is {DE48 0496 6889 6617 8577 62}, right? || Exactly.
iban|send it to {DE50 6686 9409 4478 7909 16} please
iban|IBAN {D E five zero} no wait {six six eight six} {nine four zero nine} {four four seven eight} {seven nine oh nine} {one six}
iban|My account is {GB50LOYD94551422560791}.
iban|it's {G for golf B for bravo fifty L O Y D nine four five five one four double two five six oh seven nine one}
iban|my eye ban is {B E nine seven, zero six, thirteen, sixty three, ninety seven, thirty four, fifty three}
iban|{de48 0496 6889 6617 8577 62}
iban|the iban starts {D E four eight} then {zero four nine six} then {six eight eight nine} {six six one seven} {eight five seven seven} and finally {six two}
iban|Q: iban? || {AT35} || Q: yes || {1579} {9726} || Q: go ahead || {7622} {0002}
iban|{I E seven four A I B K seven two one two eight double four one five eight four oh two four}
iban|{E S forty nine} {fifty eight thirty nine} {oh nine twenty two} {eighty three forty five} {forty eighty eight} {eighteen thirty five}
bank_account|My sort code is {20-45-77} and the account number is {31926819}.
bank_account|sort code {twenty forty five seventy seven}, account number {three one nine two six eight one nine}
bank_account|Q: sort code? || {oh nine, oh one, two eight} || Q: and the account number || {five five seven seven nine one one four}
bank_account|Q: What's the sort code on the account? || {60 83 71}.
bank_account|it's {six oh, eight three, seven one}, that's the sort code
bank_account|account {31926819}, sort code {204577}
bank_account|My routing number is {020646428}.
bank_account|routing {one two six five seven eight five six eight}, account {four four oh nine one seven three two two one}
bank_account|Q: And the routing number? || {126-009-778}
bank_account|the ABA is {022041005}
bank_account|Q: I'll need your routing and account numbers. || Okay. Routing is {121998305}. Account is {8840 2217 39}.
bank_account|Q: routing number first || {three two oh} {oh two eight} {five double oh} || Q: and account number || {nine nine one} {seven three oh} {double four}
bank_account|it's a checking account, number {7730018842}
bank_account|my account number with you is {00482719}
bank_account|Q: Can you give me your account number? || Sure, {4-4-0-9-1-7-3-2}.
bank_account|Q: account number? || yeah {four four oh nine} {one seven three two}
bank_account|The account number ends in {7732}.
bank_account|last four of my bank account are {seven seven three two}
bank_account|direct deposit, routing {two two oh four one double oh five}, sorry {oh two two oh four one double oh five}
bank_account|my bank account number is {5 5 7 7 9 1 1 4}
bank_account|Q: Which account should it come out of? || The one with account number {55779114}.
bank_account|savings account number {six six two one oh nine eight}
bank_account|Q: sort code and account number please || {oh four double oh oh four} and {eight eight one two seven three six four}
bank_account|{040004} is the sort code
bank_account|my sort code's {04 00 04}
bank_account|Q: So sort code {04-00-04}, account {88127364}? || that's it
bank_account|Q: routing? || {1 2 1} {9 9 8} {3 0 5}
bank_account|the wire routing number is {zero two oh six four six four two eight}
bank_account|transit number {oh two oh six four} {six four two eight}
bank_account|account number is {one two three}, wait no, {one two four}, {seven seven}, {eight nine oh}
bank_account|Our account number is {12477890} at Barclays.
bank_account|it's {fifty five seventy seven ninety one fourteen} for the account number
bank_account|Q: the account number is eight digits long || oh right, {six one one four} {two oh seven seven}
bank_account|you need my account number right, it's {61142077}
bank_account|bank details are sort code {eleven, oh four, twenty two} account {six one one four two oh seven seven}
bank_account|Q: Can I take the sort code? || {11}. || Q: Yep. || {04}. || Q: Yep. || {22}.
bank_account|My checking account's {9917 3044 2}.
bank_account|The routing number on the check is {126578568} and then {4409173221} is the account.
bank_account|Q: account number on the bottom of the check? || {triple oh four four oh nine one seven}
bank_account|the beneficiary account number is {330-192-7745}
email|my email is {john at at gmail dot com}
email|it's {ann dot lee at, at, example dot org}, thanks
email|My email is {john.smith@example.com}.
email|It's {sarah_jones87@gmail.com}.
email|my email address is {john dot smith at example dot com}
email|Q: What's your email? || {mike underscore brown at yahoo dot com}
email|it's {m dot patel at outlook dot com}
email|{anna dash marie at web dot de}
email|it's {karen hyphen lee at hotmail dot co dot uk}
email|Q: email address? || {info at smith and sons dot co dot uk}
email|{t b r o w n at gmail dot com}
email|that's {T-B-R-O-W-N at gmail.com}
email|T-B-R-O-W-N at Gmail dot com is my email, so {tbrown at gmail dot com}
email|you can email me at {bob plus invoices at gmail dot com}
email|{jsmith 1984 at gmail dot com}
email|{j smith eighty four at aol dot com}
email|my email's {lucy forty two at icloud dot com}
email|{dave one two three at gmail dot com}, all lowercase
email|Q: And what's a good email for you? || Yeah, it's {pete at pete's plumbing dot com}.
email|Q: your e-mail please || {r obinson at sky dot com}
email|{first dot last at company dot org}
email|it's my first name dot last name so {maria dot gonzalez at company dot org}
email|send it to {billing@acme-corp.io} please
email|send it over to {sales at acme dash corp dot io}
email|{hello at northwind dot dev}
email|Q: So that's {john.smith@example.com}? || Yes, correct.
email|Q: let me read that back {j dot doe at example dot net} || perfect
email|my work email is {c h r i s at big blue dot com}
email|Email? {kim.lee+news@fastmail.com}.
email|{kim dot lee plus news at fastmail dot com}
email|uh it's {steve} um {at} {steves garage} {dot com}
email|{stephen with a p h at gmail dot com}
email|Q: email? || {jane} || Q: yep || {at} || {example dot com}
email|Q: Email? || {jane.doe} at... || {example.com}.
email|{nina@sub.domain.example.ac.uk}
email|{nina at c s dot ox dot ac dot uk}
email|reach me at {x y z nine nine at proton mail dot com}
email|You can reach me at {support@help.example.com}.
email|my email is {j o h n at g m a i l dot com}
email|it's {rob zero seven at gmail dot com}
email|It's {alex.w at hotmail.com}.
email|it's {alice at example com}, my email
email|my email is {peter the great at gmail dot com}
email|{jon without an h at gmail dot com}
email|contact {dr period lee at clinic dot health}
birth_date|My date of birth is {03/05/1984}.
birth_date|Q: Date of birth? || {March 5th, 1984}.
birth_date|Q: and your date of birth please || {third of may nineteen eighty four}
birth_date|{oh three oh five eighty four} is my date of birth
birth_date|my birthday is {march fifth nineteen eighty four}
birth_date|Q: When were you born? || {the twelfth of January, 1990}.
birth_date|I was born {July 4th, 1976}.
birth_date|i was born on {the fourth of july seventy six}
birth_date|Q: DOB? || {twelve eleven sixty nine}
birth_date|dob is {twelve slash eleven slash sixty nine}
birth_date|Q: Can you confirm your date of birth for me? || Yeah, it's {11-12-69}.
birth_date|Q: date of birth || {one one} {one two} {one nine six nine}
birth_date|{1969-12-11}, that's my birth date
birth_date|{25 December 1955} is my dad's birthday
birth_date|my birthday's {december twenty fifth}
birth_date|Q: What's your birthday? || {December 25th}.
birth_date|Q: birthday? || {the twenty fifth of december} || Q: and the year? || {nineteen fifty five}
birth_date|Q: And the year you were born? || {1955}.
birth_date|what year were you born || {two thousand and one}
birth_date|I was born in {1988}
birth_date|I was born in {nineteen eighty eight} in Ohio
birth_date|Q: month and year of birth? || {august} {two thousand three}
birth_date|her date of birth is {the second of the tenth ninety one}
birth_date|{second of the tenth}, {ninety one}, that's her D.O.B.
birth_date|his dob's {tenth of the second two thousand and eleven}
birth_date|my son's date of birth is {9/30/2012}
birth_date|Q: Patient's date of birth? || {September 30, 2012}.
birth_date|patient date of birth {nine thirty twenty twelve}
birth_date|Q: and date of birth for the second passenger || {sept thirtieth twenty twelve}
birth_date|{30.09.2012} is the date of birth
birth_date|Q: Date of birth? || {May}... {fifth}... {'84}.
birth_date|Q: date of birth? || {may} || Q: uh huh || {the fifth} || Q: okay || {nineteen eighty four}
birth_date|Q: So {March 5th, 1984}, is that your date of birth? || That's right.
birth_date|date of birth {march} uh {fifth}, no sorry, {sixth}, {eighty four}
birth_date|Birth date: {Feb 29, 1996}.
birth_date|I turn forty next year, my date of birth is {03/05/1984}
birth_date|Date of birth is {the 5th of the 3rd, 1984}.
birth_date|Q: born? || {5 March 84}
birth_date|{fifth march eighty four} date of birth
birth_date|Q: Your date of birth, day month year? || {05}, {03}, {1984}.
birth_date|I'm born on the {first of june nineteen hundred and forty two}
birth_date|Q: what's the date of birth on the account || should be {six one forty two}
one_time_code|Your code is {482913}.
one_time_code|the pin's {4 4 2 1}
one_time_code|Q: CVV? || {three one nine}
one_time_code|CVV {three one nine}
one_time_code|Q: And the security code on the back? || {319}.
one_time_code|security code is {seven oh two}
one_time_code|the three digits on the back are {seven oh two}
one_time_code|Q: what are the three digits on the back of the card || {7 0 2}
one_time_code|Q: I just texted you a code, can you read it to me? || {482913}
one_time_code|Q: We've sent you a verification code. || Okay, got it. {4-8-2-9-1-3}.
one_time_code|verification code {four eight two nine one three}
one_time_code|it says your one time passcode is {nine nine oh four one seven}
one_time_code|One-time password: {990417}.
one_time_code|the code's {ninety nine oh four seventeen}
one_time_code|my pin is {one two three four}
one_time_code|Q: can you enter your pin || i'll just say it {four four two one}
one_time_code|My PIN number is {4421}.
one_time_code|the pin code is {twenty two eleven}
one_time_code|Q: What code did you get? || {G-482913}
one_time_code|I got a text that says {482 913}
one_time_code|Q: read me the six digit code || uh {four eight two} {nine one three}
one_time_code|Q: six-digit code please || {4 8 2}. || Q: Yeah. || {9 1 3}.
one_time_code|my passcode is {eight eight oh two}
one_time_code|the OTP is {five seven seven one double two}
one_time_code|OTP {577122}
one_time_code|CVC is {4 0 8}
one_time_code|Q: CVC? || {Four oh eight}.
one_time_code|the four digit code on the front of my amex is {7 7 3 1}
one_time_code|Q: what's your telephone banking passcode || {one nine seven seven two}
one_time_code|Q: Access code? || {60 41 22}
one_time_code|authentication code {six oh four one two two}
one_time_code|Q: and the code in the app? || It says {604 122}.
one_time_code|Q: Did you receive the code? || Yes, it's {31 77 05}.
one_time_code|i received {three one double seven oh five} as the code
one_time_code|{317705} is the code I got
one_time_code|it's {317705}, that's the code
one_time_code|Q: can you tell me your 4 digit pin? || {zero zero seven one}
one_time_code|my voicemail pin is {double oh seven one}
one_time_code|the unlock code is {2580}
one_time_code|the code is {4} {8} no {9} {2} {9} {1}
one_time_code|my security number on the back is {nine one four}
one_time_code|Q: What's the PIN for the account? || It's {1-9-8-4}.
-|My order number is 4482913.
-|order number four four eight two nine one three
-|Q: What's your order number? || It's 114-5529103-2281.
-|The total comes to $1,249.99.
-|that'll be forty two dollars and ninety nine cents
-|it's twelve forty nine a month
-|It costs 1,299 euros.
-|The price went from 1999 to 2499.
-|we paid two hundred and fifty thousand for the house
-|The meeting is at 10:30.
-|let's meet at ten thirty tomorrow
-|at quarter past four on the fifteenth
-|I'll call back at three forty five
-|The flight leaves at 06:55 and arrives at 11:20.
-|I'm on flight BA 2490.
-|flight united one two three four
-|Q: flight number? || Lufthansa 4 5 2
-|it's version 3.11.4
-|We run version two dot five dot one.
-|I need twelve of those and twenty four of the others.
-|we ordered 1500 units
-|about three to four weeks
-|five or six people
-|In 1984 we moved to Chicago.
-|since nineteen ninety nine
-|back in two thousand and eight
-|between 2010 and 2015
-|I live at 1600 Pennsylvania Avenue.
-|my address is twelve forty five oak street apartment six
-|Q: What's your address? || 2210 Maple Drive, Apt 14B, Springfield, 62704.
-|it's forty two elm road
-|The zip code is 94105.
-|zip code nine four one oh five
-|my postcode is SW1A 1AA
-|Extension 4471, please.
-|extension four four seven one
-|dial extension two oh three
-|It was up 12.5 percent.
-|about fifteen to twenty percent
-|The server's IP is 192.168.1.104.
-|i pinged ten dot zero dot zero dot one
-|the IP address is one nine two dot one six eight dot one dot one
-|The appointment is on March 5th, 2026.
-|we can do the third of may
-|How about June 12th at 2 p.m.?
-|it was delivered on 03/05/2026
-|the invoice dated the fifth of march
-|Invoice number 20260311.
-|invoice two zero two six oh three
-|Ticket 88421193.
-|your ticket number is eight eight four two
-|Q: Do you have a reference number? || yes it's 77 31 20
-|Your reference is R as in Robert 4471.
-|confirmation number is X7K2P9
-|booking reference ABC123
-|tracking number 1Z 999 AA1 01 2345 6784
-|the tracking number is nine four double oh one one one
-|serial number is SN48291337
-|model number X P S fifteen
-|The part number is 40-2291.
-|it's a 2019 Honda Civic with 48,000 miles
-|the truck gets eighteen miles to the gallon
-|she's one hundred and four years old
-|I'm thirty four
-|I turned 50 last year
-|they have three kids, two, five and nine
-|Room 1412 on the fourteenth floor.
-|gate B 22
-|I waited for forty five minutes
-|it took two hours and thirty minutes
-|one moment please
-|give me one second
-|two of them are broken and one is missing
-|it's one of those things
-|a one in a million chance
-|twenty four seven support
-|open nine to five monday to friday
-|We're open 9 to 5, Monday through Friday.
-|call 911
-|dial nine one one
-|Press one for sales, two for support.
-|press 1 or say yes
-|temperature is seventy two degrees
-|It's 98.6 degrees.
-|the score was three two
-|they won 21 to 14
-|I'm six foot two
-|5'11", 180 pounds
-|take 500 milligrams twice a day
-|five hundred milligrams every eight hours
-|blood pressure is one twenty over eighty
-|120 over 80
-|form 1040
-|the ten ninety nine from last year
-|my 401k
-|channel 4
-|highway 101 north to exit 432
-|take the 405 to the 10
-|Interstate 95
-|chapter 11
-|section 230
-|covid 19
-|windows 11 and office 365
-|iphone 15 pro
-|I'll be there at seven at the latest
-|I'll meet you at john's at seven
-|look at dot com companies
-|the dot com boom was in 2000
-|go to www.example.com
-|our website is example dot com slash support
-|go to acme dot com and click on login
-|he's at the office
-|we're at a good place
-|I was looking at it on Amazon dot com
-|I bought it at target dot com
-|I ordered it at walmart.com
-|She works at example.com.
-|Q: Are you there? || one two one two testing
-|testing one two three
-|one, two, three, go
-|O M G that's great
-|the USA and the UK
-|the F B I and the C I A
-|my name is Smith, S M I T H
-|that's B as in boy, R, O, W, N
-|spelled K A T H E R I N E
-|C for charlie
-|policy number 88 21 4470
-|claim number is seven seven two one oh four
-|case number 2291
-|your membership level is gold since 2015
-|loyalty number nine nine
-|the meter reading is 48213
-|meter reading four eight two one three
-|my weight is 182
-|the balance is two thousand four hundred and eleven dollars
-|Your balance is $2,411.08.
-|a loan of 350,000 at 6.5 percent over 30 years
-|six point five percent
-|pi is 3.14159
-|half past ten
-|a quarter of a million
-|eighty five hundred square feet
-|I scored 1480 on the SAT
-|there were 3,000 of us
-|the first and the second one
-|the twenty first century
-|May I speak to June?
-|I may call back in march
-|I'm calling about the order from the fourth
-|the warranty expires 05/2027
-|it expires in december twenty twenty seven
-|The password has to be 8 characters.
-|the code of conduct has 12 sections
-|dress code is casual, 7 pm
-|area code 415 is San Francisco
-|we need 2 by 4s, sixteen of them
-|at 60 miles an hour
-|three point two million
-|page 394, line 12
-|the PO number is 4500019283
-|SKU 8812207
-|the case ID is 00914472
-|bus number 38
-|seat 14 C
-|order 55 91 20
-|size ten and a half
card|Q: How do you want to pay? || I'll use my Visa. {4716 6511 8520 3386}.
card|hi yeah the card i want to use is {five three oh four} {eight eight one two} {oh oh six six} {seven three one nine}
card|Q: Could I take the long card number please? || {4539 1488}, yep, {0343 6467}.
card|It's {4-5-3-9, 1-4-8-8, 0-3-4-3, 6-4-6-7}.
card|{3714 496353 98431}, and the name is Jordan Lee.
card|my corporate amex is {three seven one four, forty nine sixty three fifty three, nine eight four three one}
card|Q: What are the first four digits? || {6011}.
card|Q: which card is on the account? || the discover ending in {nine four two four}
card|put it on {4539 1488 0343 6467} thanks so much
card|the card number hasn't changed it's still {four five three nine}... {fourteen eighty eight}... {oh three four three}... {sixty four sixty seven}
card|Q: Sorry, can you repeat the last group? || {6467}.
card|Let me read it out. {4539}, then {1488}, then {0343}, and finally {6467}.
card|I think you charged the wrong card, the one that ends with {0187}
card|the number on my debit card is {six seven five nine} {six four nine eight} {two six four three} {eight four five three}
card|Q: card number? || {four five three nine} || Q: got that || {one four double eight} || Q: mm hm || {oh three four three} || Q: last four? || {six four six seven}
card|can i change it to {3056 930902 5904}
phone|My callback number is {(818) 555-0147}.
phone|uh {eight one eight} {five five five} {oh one four seven} is the best way to get me
phone|Q: And can I get a phone number in case we get disconnected? || {404 555 0199}.
phone|reach my assistant at {six four six, five five five, oh one one oh}
phone|Yeah it's {+1 646-555-0110}.
phone|the number you called is {1 (800) 555-0142}
phone|call {two one three} {five five five} {ninety nine oh one} after six
phone|My number's changed. It's now {303-555-0170}.
phone|Q: number for the driver? || {seven two oh} {five five five} uh {oh one one nine}
phone|Q: Is it okay to text {720-555-0119}? || Sure.
phone|our Munich office is {+49 89 636 48018}
phone|{plus six one two nine three seven four four thousand} in Sydney
phone|you could also try my landline {five one two} {four seven four} {six one one one}
phone|His cell phone number is {512.555.0134}.
phone|area code {nine seven two}, {five five five}, {oh one oh eight}
national_id|my social security number is {five three eight} {nine oh} {four four one two}
national_id|Q: Full social please. || {538-90-4412}.
national_id|Q: can you verify the last four of your social? || {forty four twelve}
national_id|{538 90 4412} is my Social.
national_id|ssn {five thirty eight ninety forty four twelve}
national_id|Q: Tax ID number? || {538904412}.
national_id|My NI number's {PX 48 29 13 B}.
national_id|{papa x-ray four eight two nine one three bravo}
national_id|Q: National Insurance? || {P X}, {four eight}, {two nine}, {one three}, {B}.
national_id|it's {P for Peter X for x-ray four eight two nine one three B for Bertie}, that's my national insurance number
national_id|Q: social? || {five three eight} || Q: okay || {nine oh} || Q: yep || {four four one two}
national_id|My passport number is {548291337}.
national_id|the social ends in {4412}
national_id|my NIE is {Y1234567X}
national_id|I have your social as {538 90 4412}, is that correct?
iban|Sure, the IBAN is {NL91 ABNA 0417 1643 00}.
iban|{N L nine one A B N A oh four one seven one six four three double oh}
iban|iban is {DE89 3704 0044 0532 0130 00}
iban|Q: IBAN? || {D E eight nine} {three seven oh four} {double oh double four} {oh five three two} {oh one three oh} {double oh}
iban|{delta echo eighty nine thirty seven oh four zero zero forty four oh five thirty two oh one thirty zero zero}
iban|Our IBAN: {GB82 WEST 1234 5698 7654 32}.
iban|{G B eight two W E S T one two three four five six nine eight seven six five four three two}
iban|Q: What IBAN should we pay? || It's {FR14 2004 1010 0505 0001 3M02 606}.
iban|{ES91 2100 0418 4502 0005 1332} is the one
iban|{BE68 5390 0754 7034}
iban|{B E sixty eight, fifty three ninety, oh seven fifty four, seventy thirty four}
iban|Q: iban || {AT61} || Q: okay || {1904} || Q: okay || {3002} {3457} || Q: go on || {3201}
iban|it's a Swiss one {CH93 0076 2011 6238 5295 7}
iban|{IE29 AIBK 9311 5212 3456 78}
iban|my bank says the iban is {I T sixty X oh five four two eight one one one oh one triple oh triple oh one two three four five six}
bank_account|The sort code's {30-98-12} and my account's {73320914}.
bank_account|Q: and the account and sort code? || account {seven double three two oh nine one four} sort code {thirty ninety eight twelve}
bank_account|routing number {oh two one oh oh oh oh two one}
bank_account|It's a Chase account, routing {021000021}, account number {5839201147}.
bank_account|Q: Account number? || It's {583 920 1147}.
bank_account|the account number's {five eight three nine two oh one one four seven}
bank_account|Q: last four of the account? || {1147}.
bank_account|i want it paid into {73320914} sort code {309812}
bank_account|Q: What's the routing number for your bank? || {0-2-1-0-0-0-0-2-1}.
bank_account|my checking account number is {double oh five eight three nine two}
bank_account|Q: sort code? || {three oh} || Q: yeah || {nine eight} || Q: yeah || {one two}
bank_account|account ending {0914}
bank_account|Q: which account, the one ending in {0914}? || yes please
bank_account|please use account number {61 42 07 78}
bank_account|The bank account is {73320914}, it's with Lloyds.
email|It's {rachel.green@centralperk.com}.
email|{rachel dot green at central perk dot com}
email|Q: best email? || {r green twelve at gmail dot com}
email|yeah so my email is {tom underscore hanks at yahoo dot co dot uk}
email|{t o m at hanks dot net}
email|email's {laura dash b at live dot com}
email|send the invoice to {accounts at brightside dot co dot uk} please
email|Q: Can I get your email address? || Sure, it's {m-a-r-t-y at timetravel.org}.
email|{marty plus eighty five at gmail dot com}
email|Q: and your email || {sue dot ellen} || Q: uh huh || {at dallas dot com}
email|It's {paul2000@hotmail.com}, all one word.
email|{paul two thousand at hotmail dot com}
email|you can write to {help desk at acme dot io}
email|my email address is {n as in nancy, b as in bob, smith, at gmail dot com}
email|Contact {press@my-company.co.uk} for that.
email|it's {k dot o'brien at eircom dot net}
birth_date|Q: Date of birth? || {The 9th of November, 1971}.
birth_date|{november ninth seventy one}, that's my date of birth
birth_date|DOB {11/09/1971}
birth_date|my dob is {nine eleven seventy one}
birth_date|Q: and when's your birthday? || {November 9}.
birth_date|Q: Could you confirm your date of birth? || {09-11-1971}.
birth_date|she was born on {the 2nd of February 2003}
birth_date|she was born {february second two thousand three}
birth_date|Q: what is your birth date || {oh two oh two oh three}
birth_date|I was born in {November 1971}.
birth_date|born {the ninth of the eleventh seventy one}
birth_date|Q: date of birth for the child? || {second of feb} {twenty twenty one}
birth_date|Her birthday is {Feb 2}.
birth_date|Q: Is your date of birth still {November 9th, 1971}? || Yeah.
birth_date|Q: month of birth? || {november} || Q: day? || {ninth} || Q: year? || {seventy one}
one_time_code|Your verification code is {739104}.
one_time_code|it's {seven three nine one oh four}, the code
one_time_code|Q: What's the six digit code we sent? || {739 104}.
one_time_code|the text says {seven three nine one zero four}
one_time_code|Q: And the CVV? || {Four nine two}.
one_time_code|the cvv number is {four nine two}
one_time_code|three digit security code {0 8 8}
one_time_code|PIN's {9173}
one_time_code|Q: can i have your four digit passcode || {nine one seven three}
one_time_code|Q: the three numbers on the back || {oh eight eight}
one_time_code|I got {739104} as my code.
one_time_code|the code they texted me was {73 91 04}
one_time_code|Q: Enter the code from the app. || Okay, {7-3-9, 1-0-4}.
one_time_code|my online banking pin is {two seven oh six}
one_time_code|use {8814} as the PIN
-|The tracking number is 9400 1000 0000 0000 0000 00.
-|My order was 300-4471-22.
-|it's order four four seven one two two
-|I paid $89.95 for it.
-|it was eighty nine ninety five
-|That's 3 for $10.
-|we spent about twelve hundred on it
-|At 8:15 on Monday.
-|Let's say quarter to nine.
-|the bus comes at seven oh five
-|We close at 1800 hours.
-|version 14.2.1 of the app
-|iOS 17.4 I think
-|fifty units of item B
-|We have 12,500 employees.
-|In 2019 we sold the business.
-|it was built in nineteen oh two
-|347 Fifth Avenue, suite 1200
-|I'm at eight eight twelve sunset boulevard
-|the zip is nine oh two one oh
-|ext. 5512
-|my extension is 5512
-|United 1482 to Denver
-|The flight number is DL 2231, row 22.
-|Around 35% of customers.
-|it dropped four point five percent
-|the router is at 10.0.0.1
-|the gateway is 172.16.254.1
-|Delivery is planned for April 12, 2026.
-|the twelfth of april works for me
-|Can you do 4/12 at noon?
-|the contract starts on 01/01/2026
-|Invoice 88120 from March 2025.
-|the case number is C as in Charlie 10492
-|Your ticket is INC0048213.
-|Reservation code Q7RT2L.
-|i need two large pizzas and one coke
-|we have four kids
-|for two weeks now
-|the first time I called was on the third
-|Number one, it's late. Number two, it's broken.
-|I've called five times already.
-|hold for one to two minutes
-|the wifi is 802.11
-|a 65 inch TV
-|it weighs 2.4 kilos
-|Bus 42 to the station
-|I have 1,240 points
-|room two oh four
-|page two hundred and twelve
-|a ten by twelve room
-|Interest is 4.75 percent for 360 months
-|I saw it at costco dot com
-|it's on our site at acme dot com slash help
-|I'll be at home at five
-|Is that T as in Tom?
-|My last name is O'Neil, O, N, E, I, L.
-|my car is a B M W three twenty i
-|error code 0x80070005
-|Error 404 again.
-|the policy number is seven seven oh one two
-|quote number 55120
-|customer since 2012
-|pin the tail on the donkey
-|the code is broken in 3 places
-|my card was charged 129.99
-|my card expires 12/27
-|I lost my phone in 2022
-|the account was opened in 2014
-|i was born in ohio
card|Q: I just need your card details. || Yes, so the number is {5425 2334 3010 9903}. Expiry date is 04/28.
card|Q: Great. Card number? || Hmm, hold on. {5425}. Uh, {2334}. {3010}. {9903}.
card|{five four two five two three three four} and then {three oh one oh double nine oh three}
card|it should be on file, visa, last four digits {one one one two}
card|Q: Can you confirm the last four digits of the card on file? || {9903}, I think.
card|ok ready? {forty two twenty two}, {twenty two twenty two}, {twenty two twenty two}, {twenty two twenty two}
card|My old card was {5425 2334 3010 9903} and the new one is {4453 3314 7893 2885}.
card|that's {four four five three, three three one four, seven eight nine three, two eight eight six}, sorry {two eight eight five}
card|Q: Amex or Visa? || Amex. {3-7-8-2 8-2-2-4-6-3 1-0-0-0-5}.
card|you can take it from {4453 3314 7893 2885}, it's my business card
card|Q: the payment on the card ending {five five six one} was declined || oh okay
card|Card ending in {5561} was declined again.
card|it begins with {four four five three}, then {three three one four}, {seven eight nine three}, {two eight eight five}
card|credit card number is {4 4 5 3 3 3 1 4 7 8 9 3 2 8 8 5} exp oh nine twenty six
card|Q: The long number, please. || {44 53 33 14 78 93 28 85}
card|so sorry the card number's {four four five three triple three... no, double three one four} {seven eight nine three} {two eight eight five}
phone|Could you call me back at {(929) 555-0136} after lunch?
phone|Q: What's the best contact number? || I'd say {9 2 9}, {5 5 5}, {0 1 3 6}.
phone|my wife's phone is {nine two nine} {five five five} {oh one three seven}
phone|this is Tom, {nine two nine five five five oh one three six}, please call me
phone|Hi, it's Tom from Acme, my direct line is {929-555-0136}.
phone|Q: Do you have a mobile number as well? || yes it's {oh seven nine double one} {one two three} {four five six}
phone|i'm on {plus four four twenty seven nine four six oh one two three}
phone|{+1 929 555 0136} is my WhatsApp.
phone|leave a message on {four one five, eight six seven, five three oh nine}
phone|Q: and is that number {415 867 5309}? || yep
phone|No, it's {415 867 5309}, not 5308.
phone|my number ends in {five three oh nine}
phone|Please add a second number, {628.555.0107}.
phone|the restaurant's number is {six two eight, triple five, oh one oh seven}
phone|ring the office on {01632 960 123}, that's our phone number
phone|can i leave my number, it's {six two eight five five five zero one zero seven}
national_id|So my social, it's {078}, {05}, {1120}.
national_id|Q: I need to verify your identity. Last four of your Social? || It's {1120}.
national_id|{oh seven eight oh five one one two oh}, that's the social
national_id|the social security number for my wife is {two one three four five six seven eight nine}
national_id|Q: And your social? || {213}-{45}-{6789}.
national_id|social: {two thirteen, forty five, sixty seven eighty nine}
national_id|Q: Can you spell your NI number? || {S, R, 7, 0, 4, 4, 1, 2, D}
national_id|national insurance number {S R seventy forty four twelve D}
national_id|{SR 70 44 12 D}, that's on my payslip
national_id|my passport's {X as in x-ray} {four four one two nine eight oh}
national_id|Q: What's your driver's license number? || {D4412 9803}
national_id|my dni is {seven two six four two one four seven M}
national_id|The Steuer-ID is {86147593428}.
national_id|Q: social security? || uh {two one three} wait no {two one four} {four five} {six seven eight nine}
national_id|i gave you my social already {two one three four five} {six seven eight nine}
iban|Hi, my IBAN is {DE12 5001 0517 0648 4898 90}.
iban|{D E one two, five thousand one, zero five one seven, zero six four eight, four eight nine eight, nine zero}
iban|Q: IBAN? || {GB33 BUKB 2020 1555 5555 55}
iban|it's {G B three three B U K B two zero two zero one five five five five five five five five five}
iban|{golf bravo thirty three bravo uniform kilo bravo twenty twenty fifteen fifty five fifty five fifty five fifty five}, hmm let me check
iban|IBAN: {NL20INGB0001234567}
iban|{N for November L for Lima two zero I N G B triple zero one two three four five six seven}
iban|Q: So I have {NL20 INGB 0001 2345 67}. || Correct.
iban|for the transfer use {FR76 3000 6000 0112 3456 7890 189}
iban|{F R seven six, three thousand, six thousand, oh one twelve, thirty four fifty six, seventy eight ninety, one eight nine} is the iban
iban|iban {ES79 2100 0813 6101 2345 6789}
iban|{E S seven nine} um {two one double oh} um {oh eight one three} {six one oh one} {two three four five} {six seven eight nine}
iban|The account's IBAN is {SE45 5000 0000 0583 9825 7466}
iban|Q: could you read out the IBAN || {P T five oh} || Q: okay || {triple oh two oh one two three} || Q: yes || {one two three four five six seven eight nine oh one five four}
iban|iban starts with {L U two eight} and then {oh oh one nine} {four double oh six} {four four seven five} {oh oh oh oh}
bank_account|Q: Which account is that for? || Account number {40118276}, sort code {40-47-84}.
bank_account|{forty forty seven eighty four} is my sort code
bank_account|ABA number {zero six one zero zero zero one zero four}
bank_account|The routing number's {061000104} and the account is {1000 4432 198}.
bank_account|put it in savings, account number {double one oh four four three two}
bank_account|Q: Account number and routing, please. || {0061 2284 19} and {061000104}.
bank_account|my account number is {four oh one one eight two seven six}, name Jenkins
bank_account|Q: The sort code is six digits. || Ah. {40}, {47}, {84}.
bank_account|account number: {4 0 1 1 8 2 7 6}
bank_account|Q: and the last four of your account number || {eight two seven six}
bank_account|sort code four... sorry {forty}, {forty seven}, {eighty four}
bank_account|you should have the account number {40118276} on file
bank_account|Bank account ending in {8276}.
bank_account|set up the direct debit from {four zero one one eight two seven six}
bank_account|wire it, the routing is {061 000 104}, account {1-0-0-0-4-4-3-2-1-9-8}
email|Sure, it's {olivia.martin92@outlook.com}.
email|{olivia dot martin ninety two at outlook dot com}
email|Q: Email address? || {o martin at gmail dot com}
email|my email's {ben underscore c at mac dot com}
email|Q: What email should I send it to? || {ben.carter@me.com}, please.
email|that's {b e n dot c a r t e r at me dot com}
email|the address is {office at green hyphen valley dot org}
email|please cc {legal@northwind.co.uk} as well
email|it was {jim b 77 at yahoo dot com}, I think
email|Q: Is it {jim.b77@yahoo.com}? || Yes, {jim dot b seventy seven at yahoo dot com}.
email|my e-mail is {z as in zebra a c k at gmail dot com}
email|{customer dot care at shop dot example dot com}
email|Q: can you spell the email || {d a v i d} at {d a v i s} dot {com}
email|my personal email, {natalie plus shop at proton dot me}
email|it's {info} at {haus-berlin.de}
birth_date|Q: Can I have your date of birth please? || Sure, {21 June 1967}.
birth_date|born {twenty first of june sixty seven}
birth_date|date of birth {two one six six seven}
birth_date|DOB: {06/21/1967}
birth_date|Q: And your date of birth? || {June twenty first, nineteen sixty-seven}.
birth_date|I was born the {21st of June, 1967}, in Leeds.
birth_date|my birthday is on {june the twenty first}
birth_date|Q: and you were born in? || {sixty seven}
birth_date|Q: what's the baby's date of birth? || {tenth of january} this year
birth_date|Date of birth: {1967-06-21}.
birth_date|Q: day, month and year of birth please || {twenty one} {six} {sixty seven}
birth_date|dob {june 21 67}
birth_date|it's {six twenty one sixty seven}, my birthday
birth_date|Q: born in {1967}? || yes
birth_date|my partner was born on {the thirtieth of september nineteen ninety nine}
one_time_code|Q: What's the code in the email? || {55 20 81}
one_time_code|Okay, the code says {552081}.
one_time_code|my four digit pin is {six six two nine}
one_time_code|security code {three oh seven} and the zip is 10001
one_time_code|Q: and the three digit code on the back? || {three oh seven}
one_time_code|the passcode's {5 5 2 0}
one_time_code|Q: Your PIN, please. || {Six. Six. Two. Nine.}
one_time_code|I never got the code. Oh wait, here. {552081}.
one_time_code|use the verification code {A7 5520}
one_time_code|Q: read me the number in the text message || {five five two zero eight one}
one_time_code|the alarm code is {2468}
one_time_code|the code for the door is {1357}
one_time_code|two factor code {one one eight four two oh}
one_time_code|CVV's {881}, expires next June
one_time_code|Q: did you set a PIN? || yes it's {twenty five eighty}
-|I have an order for 2 boxes, 450 each.
-|order id 7730-2291-04
-|your order number's double seven three oh two
-|Q: can you give me the tracking number? || JD014600003828
-|It's $14.99 plus $3.50 shipping.
-|fourteen ninety nine plus tax
-|between eight and ten a.m.
-|twenty past six
-|On the 14th at 15:45.
-|It's build 22621.
-|we need 250 brochures by friday
-|the house is 2,350 square feet
-|he graduated in 1998
-|the class of two thousand twelve
-|2101 North Clark Street
-|my old address was four twenty six birch lane
-|apartment 1207
-|extension 3319 or 3320
-|AA 1007 to Miami
-|flight six two four
-|about 80 percent, maybe 85
-|nineteen point nine percent APR
-|ping 8.8.8.8 first
-|it's one twenty seven dot zero dot zero dot one
-|the ceremony is on June 21st
-|renewal date is 06/21/2027
-|since June 21, 2015
-|my invoice says 30412
-|Ticket number is 4 4 0 1.
-|booking number nine one seven two two
-|a hundred and one reasons
-|I've been waiting 20, 25 minutes
-|first, second and third floor
-|there are 365 days in a year
-|take exit 14, then left
-|at 1 p.m. or 2 p.m.
-|it was ninety five in the shade
-|my daughter is three and my son is five
-|section 8 housing
-|around ten to fifteen people
-|a 2 by 4
-|I work at Amazon.
-|let's meet at the corner of 5th and Main
-|we met at a dot com startup
-|can you spell it? M, C, K, A, Y.
-|A as in apple, C as in cat, M, E
-|it's an HP 4520
-|that's a BMW X5
-|error 1603
-|account manager is Jim, extension 12
-|the pin came off the hinge in 2 places
-|my phone died at 3 o'clock
-|I called from my cell phone twice, 2 days ago
-|card game night is at 7
-|i have two bank accounts and three cards
-|there were 12 people born in that ward
-|my birthday party had 40 guests
-|the email had 3 attachments
-|The social event costs 2500.
-|one hundred twenty dollars and fifty cents
"""

# By language and region.
HEARD_ABROAD: Final[dict[tuple[str, str], str]] = {
    ("en", "GB"): """
phone|my number is {020 7946 0018}
phone|it's {oh two oh seven nine four six double oh one eight}
phone|Q: mobile number? || {oh seven seven double oh} {nine double oh} {four six one}
phone|Q: What's the best number for you? || {07700 900461}.
phone|ring me on {0161 496 0123}
phone|{oh one six one}, {four nine six}, {oh one two three}, that's the landline
card|it's {four four five three, double three one four, seven eight nine three, two double eight five}
birth_date|Q: date of birth please || {fifth of the third eighty four}
national_id|Q: NI number? || {J G one oh three seven five nine A}
bank_account|sort code {oh nine oh one two eight} account {double five double seven nine double one four}
one_time_code|security code's {seven oh two} on the back
email|it's {dave dot jones at btinternet dot com}
-|my postcode is M1 4BT
-|that's forty nine pounds ninety nine
-|order number double four seven one nine
""",
    ("de", "DE"): """
card|meine Kartennummer ist {4453 3314 7893 2885}
card|Q: Wie lautet Ihre Kreditkartennummer? || {vier vier fünf drei} {drei drei eins vier} {sieben acht neun drei} {zwei acht acht fünf}
card|{vierundvierzig dreiundfünfzig} {dreiunddreißig vierzehn} {achtundsiebzig dreiundneunzig} {achtundzwanzig fünfundachtzig} ist die Visa
phone|meine Nummer ist {0171 1234567}
phone|Q: Und Ihre Telefonnummer? || {null eins sieben eins} {zwei drei vier} {fünf sechs sieben acht}
phone|Sie erreichen mich unter {030 20932715}.
phone|{plus neunundvierzig dreißig zwanzig dreiundneunzig siebenundzwanzig fünfzehn}
iban|Meine IBAN lautet {DE48 0496 6889 6617 8577 62}.
iban|{D E vier acht null vier neun sechs sechs acht acht neun sechs sechs eins sieben acht fünf sieben sieben sechs zwo}
national_id|meine Steuer-ID ist {86 147 593 428}
national_id|Q: Steuernummer? Ich meine die Steuer-ID. || {acht sechs eins vier sieben fünf neun drei vier zwei acht}
birth_date|Q: Ihr Geburtsdatum bitte? || {fünfter dritter vierundachtzig}
birth_date|ich bin am {5. März 1984} geboren
birth_date|geboren am {05.03.1984}
birth_date|Q: Wann sind Sie geboren? || am {fünften März neunzehnhundertvierundachtzig}
email|meine E-Mail ist {max punkt mustermann at web punkt de}
email|{max.mustermann@web.de}
email|{anna minus schmidt ät gmx punkt de}
email|Q: E-Mail-Adresse? || {lena unterstrich berg at gmail punkt com}
one_time_code|die PIN ist {vier vier zwei eins}
one_time_code|Ihr Code lautet {482913}
one_time_code|Q: Prüfziffer auf der Rückseite? || {drei eins neun}
bank_account|Kontonummer {55779114}, Bankleitzahl {10050000}
-|Meine Bestellnummer ist 4482913.
-|das kostet vierundzwanzig Euro neunundneunzig
-|um halb zehn am fünften März
-|Rechnung Nummer 20260311
-|wir haben zwölf Stück bestellt
-|ich wohne in der Hauptstraße 145, 10115 Berlin
-|einen Moment bitte
-|im Jahr zweitausendacht
""",
    ("es", "ES"): """
card|mi tarjeta es {4453 3314 7893 2885}
card|Q: ¿Cuál es el número de tarjeta? || {cuatro cuatro cinco tres} {tres tres uno cuatro} {siete ocho nueve tres} {dos ocho ocho cinco}
card|{cuarenta y cuatro cincuenta y tres treinta y tres catorce setenta y ocho noventa y tres veintiocho ochenta y cinco} es mi visa
phone|mi teléfono es el {612 345 678}
phone|Q: ¿Su número de teléfono? || {seis doce treinta y cuatro cincuenta y seis setenta y ocho}
phone|más {treinta y cuatro seis uno dos tres cuatro cinco seis siete ocho}
iban|mi IBAN es {ES49 5839 0922 8345 4088 1835}
national_id|mi DNI es {72642147M}
national_id|Q: ¿DNI? || {siete dos seis cuatro dos uno cuatro siete eme}
national_id|Q: ¿Me dice el DNI? || {setenta y dos, sesenta y cuatro, veintiuno, cuarenta y siete, M}
birth_date|nací el {5 de marzo de 1984}
birth_date|Q: ¿Fecha de nacimiento? || {cinco de marzo de mil novecientos ochenta y cuatro}
birth_date|Q: fecha de nacimiento || el {cinco del tres del ochenta y cuatro}
email|mi correo es {juan punto perez arroba gmail punto com}
email|{maria guion bajo lopez arroba hotmail punto es}
email|{ana@ejemplo.es}
one_time_code|el código es {482913}
one_time_code|el pin es {cuatro cuatro dos uno}
one_time_code|Q: ¿El código de seguridad? || {tres uno nueve}
-|mi número de pedido es 4482913
-|son veinticuatro euros con noventa y nueve
-|a las diez y media
-|factura número 20260311
-|en el año dos mil ocho
-|vivo en la calle mayor 145
-|un momento por favor
""",
}

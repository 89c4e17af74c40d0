# ruff: noqa: E501  # a call is a line
"""Calls that were written before the rules were tried on them, in the format of `heard`.

docs/redaction.md says how many of the values were missed at first.
"""

from typing import Final

UNSEEN: Final = """
card|Q: Whenever you're ready with the card. || Okay, it's a Visa, {4453 3314 7893 2885}.
card|Q: Go ahead and read me the long number on the front. || Alright. {Four oh four oh}, {seven two three eight}, {six two double five}, {double one eight two}.
card|I'll just put it on my debit. It's {forty-four eighty-seven, thirty-three thirty-one, thirteen eighty-seven, ninety-eight ten}.
card|{4135} || Q: Mm-hmm. || {1197} || Q: Okay. || {1814}, and then {7810}. || Q: Perfect, and the expiration?
card|So it starts {four five eight zero, six nine nine eight}. || Q: {Four five eight zero, six nine nine eight}, okay. || {Three three nine seven}, {six two six eight}. || Q: {Six two six eight}. Great.
card|Let me get my glasses. Okay, {four thousand}, {seventy fifty-six}, {fourteen eighty-nine}, {seventy seventy-eight}.
card|yeah um its {four one two four eight one oh seven} um {five six nine oh oh seven two one} and the expiration is june twenty seven
card|It's the Mastercard, {fifty-one hundred}, {thirty-one seventy-one}, {sixty-seven twelve}, {thirty-four thirty-five}.
card|{Five three one two}, {two two zero zero}, {three eight six}, no, sorry, {three eight six nine}, {nine six seven zero}. || Q: No problem, got it.
card|Q: Is that a debit or a credit? || Credit. {5584-9179-6484-4730}.
card|I have an American Express, is that okay? {3700 727681 60104}. || Q: Yes, we take Amex.
card|Q: Alright, for the Amex, I'll need all fifteen digits. || {Three four six two}, {oh four nine four two eight}, {one one oh eight five}.
card|Q: I see a Visa on file ending in {4471}. Would you like to use that one? || Yes, please.
card|Which card did you guys charge? || Q: It looks like the one that ends with {two oh nine six}.
card|Q: Can you verify the last four of the card you used for the purchase? || Um, let me look. {Eight eight one three}.
card|My Discover got declined at the register and I don't know why. The last four digits are {six three seven zero}.
card|i got a new debit card in the mail the old one ended in {three three one nine} and this one ends in {seven oh four two}
card|I see a charge from your store on my card, {0925} are the last four, for $86.14.
card|Q: Okay, I'm ready to take the payment. || It's {6011}, uh, {1855}, uh, {3457}, {8680}. || Q: I have {6011 1855 3457 8680}. || That's right.
card|Q: So you'd like the refund back to the same card? || Yeah, the one with {5150} at the end.
card|Okay so the card, hang on, it's kind of worn off. {Five four oh nine}, {seven one zero zero}, I think that's a two, {two zero one one}, {eight three one one}.
card|Q: Your store card number, please? || {5262 1647}, you there? || Q: Yes, go ahead. || {7863 6445}.
card|I'd like to report my card stolen. I had the number written down, it's {4503998990809120}.
card|Q: Was it the Mastercard, {four four seven eight}, or the Visa, {one nine oh two}? || The Visa.
card|can i just pay my electric bill real quick with my card {4 4 2 5 0 8 9 9 6 1 4 1 5 7 9 3} and the zip is 43215
card|Q: okay and what card did you want to use for the copay || um hang on its in my purse okay {four four five three thirty three fourteen} uh {seventy eight ninety three} and {twenty eight eighty five}
card|Let me read you the Visa: {4040-7238-6255-1182}. Expiry is oh nine twenty-seven.
card|Q: I see two cards on file, one ending in {9810} and one ending in {7810}. Which one should I charge? || The {ninety-eight ten}, please.
card|yeah the one you guys keep charging is the one that ends in {six two six eight} i cancelled that card back in march
card|It's an Amex, so only fifteen digits. {Three seven nine nine}, {six one four one five seven}, {nine zero zero seven six}.
card|Q: go ahead with the long number across the front for me || right so {four treble oh} {seven oh five six} {one four eight nine} then {seven oh seven eight}
card|I already gave it to the automated system, but fine, {4124 8107 5690 0721}.
card|Q: alright first four of the card || {four double oh three} || Q: {four zero zero three} got it || {one seven one six} || Q: mhm || {seven one two three} and then {four three one six}
card|Q: Could you read me the sixteen digits on the front? || Sure. {Four two two two, zero zero three eight}... || Q: Sorry, the line cut out. {Zero zero three} what? || {Eight}. Then {six nine nine six}, {seven eight four two}.
card|its a mastercard {5191 7964 8447 3096} good through 04 28
card|So the credit card is {five two seven one, double zero two zero, one one eight three, one six two six}, no wait, sorry, {one six two two} at the end.
card|Q: can you confirm the last four of the health savings card youre using || {forty one eighty one}
card|Q: Can I take the long card number, please? || Yeah, bear with me, it's worn off a bit. {Five four double five, three four five seven, eight six double eight, six four six three}.
card|i got a new card in the mail the old one was {5584 1412 2503 9986} and honestly i dont know what the new one is yet
card|Q: The hold on your hotel reservation is on a Mastercard that ends {5080}. Is that still good? || Hmm, no, mine ends in {three zero nine six}.
card|Q: is that a visa or a mastercard || discover actually {sixty eleven} {ninety six ninety six} {eighty three sixty one} {thirty nine forty seven}
card|The card on the account should be American Express, {3427 681601 06208}. Can you see it?
card|ready its {three seven four nine} okay {four two eight one one oh} did you get that || Q: yes keep going || {eight six eight one nine}
card|Oh, the FSA debit card? Yes. Last four digits are {three, three, seven, three}.
card|Q: and which card shall i pop that on for you || same as last time i think the one finishing {four five three nine}
card|Q: Can I get the sixteen digit card number, please? || Yeah, hang on. {4147 4533 3147 8930}.
card|Q: Whenever you're ready with the card. || Okay so it's {four one four seven}, {two eight eight oh}, {four oh seven two}, {three eight six five}.
card|I want to pay with my Visa, the number is {4147255118487335}, and it expires in April.
card|Q: And what are the last four digits of the card you used? || Uh, {one one three four}, I think. || Q: {1134}, great, I see it.
card|Q: Go ahead with the long number across the front. || Right, {4465 5119}, then {7181}, and then {4781}. || Q: Lovely, thank you.
card|um the card is {four four six five one five eight zero} and then {six nine nine eight three three nine nine}
card|Q: I see a Mastercard ending in {8699} on file. Would you like to use that one? || Yes, that one's fine.
card|It's the debit card, the one ending {two four eight two}.
card|Q: First four? || {4465}. || Q: Next four? || {7626}. || Q: Okay. || {0007}. || Q: And the last? || {0564}.
card|So that's {forty-nine twenty-nine}, {fourteen eighty-nine}, {seventy seventy-one}, {twenty-four eighty-two}. || Q: Perfect. And the name on the card?
card|Q: I just need the long card number when you're ready, love. || {Four nine two nine}, {one oh seven five}, {six nine double oh}, {seven two oh nine}.
card|Can you put it on my Amex? That's {3728 242508 99617}.
card|Q: Which card should I refund this to? || The one that ends in, um, {seven two seven six}.
card|{Five four one two, three one two two}, you got that? || Q: Yep. || {Two zero zero three, eight six nine nine}.
card|Q: Okay, let me read it back. {5412 9678 4917 9644}? || That's right.
card|Sorry, I read you the old one. The new card is {5412 8447 3097 1001}.
card|Q: How would you like to pay today? || Mastercard. {five two one eight two oh one one}, uh, {eight three one six two one six four}, expiration oh nine twenty-seven.
card|I've lost my card, it's the one with the last four {4180}, I need to cancel it straight away.
card|Q: Is it still the Visa ending in {double three nine nine}? || No, I got a new one.
card|yeah i got it right here its {5218 4778 6364 4180} expires eleven twenty eight
card|Q: Could you verify the last four of the card on the account? || Sure. {Eight eight six two}.
card|Okay, let me get my glasses. It says {5573 4684}, and, let me see, {1412 2502}. || Q: Thank you, and the expiration date?
card|There's a charge for sixty dollars on my Discover card, the number is {six zero one one, three three seven nine, six nine six eight, three six one four}.
card|Q: Do you have the card with you? || I do, yes. {5573-3998-9908-0917}.
card|Q: And that was an American Express? || Yes. {three seven one four}, {four nine four two eight one}, {one oh eight six oh}.
card|It's {6011 3945 5638}, wait, I can't read it, oh, {8537}. || Q: {8537}, got it.
card|Hi, my card got declined at the store this morning. It's {4929 0317 1671 2349}.
card|Q: Your payment of $84.20 will go to the card ending in {5247}, okay? || Okay, great.
card|Q: What was the number again, sir? || I said {three seven one four eight one two seven three eight nine five five seven six}.
card|I have two of them with you guys. I want to use the blue one, last four digits are {nine six four four}.
card|Q: Go ahead with the card number whenever you're ready. || {Four six one one} || {two eight nine nine} || {two seven one four} || {nine four three seven.}
card|Q: Which card would you like to use today? || The Visa. It's {four zero seven zero, two eight two five}, um, {three zero two seven, six three five two}.
card|okay so it's {four three seven five three four nine eight} || Q: mm-hmm || {two zero four six three eight eight three}
card|Q: And can I get the last four of the card on file? || Yeah, that would be {seven nine oh six}.
card|I'd like to put it on my Mastercard, {5103 3267 8839 4850}.
card|Q: So I have {five two two four}, {eight six three zero}. || Right, then {one four three eight}, {nine one nine one}. || Q: {Nine one nine one}, thank you.
card|Hi, my debit card got declined at the pump this morning, it's the one ending in {two three nine one}.
card|Q: Read me the sixteen digits on the front, please. || Hold on, let me get my glasses. || {Four five one three}, {oh three oh seven}, {double oh seven two}, {three two three one}.
card|Q: Is that an American Express? || It is, yeah. {Three seven three zero, three eight two four nine three, zero five three five nine.}
card|Let me pay the premium with a different card. Um, {five three one five} || {eight eight eight zero} || {six three one five} || Q: Okay, and the last part? || {eight two four seven}
card|Q: I see a Visa ending in {5457}, is that still good? || No, that one expired, use the one that ends in {three seven nine three}.
card|my discover card is {six zero one one eight four five four seven seven three five one six three one}
card|Q: What's the card number, sir? || {Forty-five seventy-eight, oh six forty-one, oh five oh nine, thirty-two forty-nine.}
card|So the card I used in the store was {5445 0253 0647 7307} and it charged me twice.
card|Q: Okay, start with the first four. || {Four four nine six.} || Q: {Four four nine six.} || {Three five six four.} || Q: Mm-hmm. || {Nine seven three one.} || {Five one zero zero.} || Q: {Fifty-one hundred.} Got it.
card|Q: And that's for auto pay, the card number is? || Uh, {five five zero six, nine nine one three}, wait, let me flip it over, {nine seven four six, four one seven one}.
card|Yeah the last four digits are {eight three three five} and it's a MasterCard.
card|Q: I just need to verify the last four of the card you want to cancel. || Okay, um... || {one one} || {two one.}
card|{Four four eight six, five nine four two}... sorry, my daughter's yelling. {Eight five zero three, seven zero three nine.} || Q: No problem, thank you.
card|Q: Can you give me the card number one more time? || Sure. {Five four seven nine. Five four zero two. Seven five three two. Eight three four eight.}
card|I'm calling about a charge on my Amex, number {3713 535376 04252}, from a store I've never been to.
card|Q: What are we putting the eighty-nine dollars on? || Visa. {four five one two} || {six six five eight} || {five nine three oh} || {oh nine six seven}
card|Q: Let me read that back, {six zero one one, two nine two four, one nine two zero, seven five eight one}. || Yes ma'am, that's it.
card|it's the platinum card, uh, {three seven four eight} {four three two zero} {five one four two} {eight eight nine}
card|Q: Do you have the card in front of you? || I don't, it was stolen, but I remember it ended with {sixty-three fifty-two}.
card|Q: Alright, whenever you're ready, go ahead with the card number. || Okay, let me grab my purse. It's {4622 7614 4928 5698}. || Q: Perfect, and the expiration? || Oh eight twenty-seven.
card|Q: What card would you like to use for the copay today? || My Visa. {Four thousand} {seventeen forty-nine}, {eighty-four forty-two}, {sixty-six thirty}.
card|Q: I have a card on file ending in {7157}, would you like to use that one? || Yeah, that's fine.
card|Q: Can you read me the sixteen digits on the front? || um sure {four five one two} || Q: Mm-hmm. || {zero five one three} || Q: Okay. || {five six zero nine} {one zero eight eight}
card|Is it the one ending in {7312}, or did you charge my old card?
card|Q: And your Mastercard number, sir? || {5191-7155-3188-5714}.
card|hi yeah i'd like to pay my water bill the card is {five two one four one one four eight two nine oh eight one two two three} and it expires june of twenty eight
card|Q: Go ahead with the long number across the front of the card, please. || Right, so that's {four six six three}, {six three oh nine}, {oh seven six one}, {six three five seven}.
card|It's an American Express, so it starts with a three. {3766 406351 87437}.
card|Q: Just to confirm, that was {4993 2209 3283 5098}? || Yes, that's right.
card|Q: For verification, what are the last four digits of the debit card you used? || Um, {four three five seven}.
card|Can you switch my subscription over to a different card? || Q: Absolutely, what's the new number? || {4519 7082} {6106}, hold on, I can't read this, {2685}.
card|Q: So I see a declined payment on the Visa ending {two six eight five}. || Oh yeah, that one got cancelled.
card|Q: Can I get the card number for the hotel deposit? || Yep. {Fifty-three fifty-nine}, {fifty-nine sixty-four}, {thirty ninety-five}, {zero one one six}.
card|Q: Which card was that charged to? || The Mastercard, the last four are {1756}.
card|Discover, {six zero one one}, {six four six one}, {nine nine three nine}, {three seven nine eight}. || Q: Got it, thank you.
card|Q: I missed the middle part, could you repeat the number for me? || Sure. {5596 2637}, did you get that? || Q: Yes. || {7616 4280}.
card|okay my card number it's uh {six oh one one} {nine six oh eight} {eight two nine three} {one one two three}
card|Q: Okay, and what kind of card is it? || Amex. || Q: Go ahead. || {Three seven zero seven}, {three three two eight zero nine}, {seven three six two seven}.
card|I see two charges on my card, the one that ends in {oh one one six}, both from your company.
card|Q: We'll refund the original payment method. That's the Discover card ending in {4006}. Does that sound right? || I think so, yes.
card|Q: Can you give me the first eight digits? || {Four three oh eight nine nine one four}. || Q: And the last eight? || {Seven nine three eight four three five seven}.
card|Q: And what number should we put this on? || Put it on my credit card. {5417 7356 8313 1756}, expiring 11/27.
card|Q: {Four six four four, seven three five three}, and then? || {Six eight two five, seven three one two}.
card|I want to update autopay for my electric. The new card is {3755 268262 74806}, exp is 03/29.
national_id|Q: For security, can I have your full Social? || Sure, {412-68-3907}.
national_id|Q: And the last four of your social, please? || {Seven seven one four}.
national_id|My Social Security number is {five three one, four two, eight oh six six}.
national_id|Q: What are the last four digits of your Social Security number? || Do you really need that? || Q: I do, just to pull up the account. || Okay, it's {2 8 5 9}.
national_id|its {two one nine} {thirty six} {forty four twelve} thats my social
national_id|Q: And your SSN? || {304}, {55}, uh, {9128}. || Q: {9128}, thank you.
national_id|Q: I just need your name and the last four of your social to get started. || Darnell Hughes, {oh six three one}.
national_id|I can give you my social if that helps. {Six two two}, {seventeen}, {oh nine four five}.
national_id|Q: Okay, I have the last four as {3380}, is that correct? || No, it's {3308}. || Q: Oh, {3308}, I'm sorry, I had the social transposed.
national_id|Q: Could I take your National Insurance number, please? || Yes, it's {JK 48 21 07 B}.
national_id|My NI number? Um, {N for November, R for Romeo, six three, one nine, double two, A for alpha}.
national_id|They told me somebody opened an account under my social, {158-90-4726}, and I never did that.
national_id|Q: What social is on the account, yours or your husband's? || It'd be my husband's. {Four oh eight}, {seven two}, {one one nine three}.
national_id|Q: Social? || {Five one six}. || Q: Uh-huh. || {Eight three}. || Q: Okay. || {Two two oh seven}.
national_id|yes ma'am last four of my social is gonna be {nine zero four two}
national_id|Q: To set up new electric service, we run a soft credit check, so I'd need your Social Security number. || Okay. {Three eight seven}, dash, {two nine}, dash, {six one five zero}.
national_id|I don't have the account number on me, but my wife's social ends in {6647}.
national_id|Q: We have your date of birth, so just the Social now. || {231}, {08}, no, {231}, {80}, {5574}.
national_id|{Four four nine, sixty-one, seventy-three eighty}. || Q: And that's your Social? || Yes.
national_id|Q: I've got {double seven one four} for the final digits of the SSN on file. || Right, yeah, that's me.
national_id|It's on the W-9 I sent in, my tax ID is just my social, {577 34 1896}.
national_id|Q: And your National Insurance number, when you're ready. || It's {PE}, {oh nine}, {eighty-seven}, {thirty-two}, {D}. || Q: {D for Delta}? || That's it.
national_id|Q: Let me verify you another way. Last four of the Social? || Um, {eighteen oh five}. || Q: {One eight zero five}. Perfect.
national_id|why does the system keep saying my social doesn't match its {six zero three one four nine nine two eight} i've had it sixty years
national_id|Q: And what's your social security number, sir? || Yeah, that is, uh, {two six eight, five oh}, hold on, my wife's talking to me, {three three seven one}.
national_id|Q: Since this is a benefits call, I need to verify you. Can I get your full social? || Yep. {Five one two, six eight, four four oh nine}.
national_id|my social is {417 62 8830} and the subscriber is my husband
national_id|Q: just the last four of your social is fine || {two two seven one}
national_id|Um, I don't love giving this out over the phone, but okay, {231-55-7094}.
national_id|Q: okay whats the primary insureds social security number || thats my wife hold on honey whats your social || she says {three oh four} {seven one} {one nine six six}
national_id|Q: I have the last four of the Social as {6142}. Is that right? || No, it's {6124}. Somebody flipped those.
national_id|Q: Do you have your National Insurance number to hand? || Yes, it's {J G, one oh, three seven, five nine, B}.
national_id|my ni number is {a b twelve thirty four ninety one c} if thats any use
national_id|{N for November, R for Romeo, six two, double four, one eight, D for Delta}. That's the NI number off my P60.
national_id|Q: whats your national insurance number please || er its on my payslip somewhere here we are {tw 58 20 33 a}
national_id|They put the wrong social on the claim form. It should be {six two zero, dash, four four, dash, eight one one five}.
national_id|Q: can you verify the last four of the ssn on file || its my sons policy so his would be {oh nine eight four}
national_id|Social Security number {148 29 6673}, and you probably want my address next, right?
national_id|okay for the social i think its uh {five eight eight} {two one} {seven seven six four} no sorry {seven six seven four}
national_id|Q: Is the Social on this application {four five one}, {one two}, {nine oh three eight}? || Correct.
national_id|Q: to unlock your work profile hr uses the last four of your social as the backup question || ah right {thirty three oh six}
national_id|On the old Medicare card it was just my Social with a letter on the end, so, {319-40-5527}.
national_id|can you look me up by social || Q: i can go ahead || {two six five} || Q: {two six five} || {eighty three} || Q: {eighty three} || {forty one twelve}
national_id|Last four digits of the SSN are {zero zero five eight}, and my zip's 60614.
national_id|whoever set this up typed my ssn wrong its supposed to be {seven one eight three three two nine four six} not {seven one eight three three two nine six four}
national_id|Q: Can I have your Social Security number, please? || It's {412-68-9035}.
national_id|Q: And the last four of your social? || {seven seven one two}.
national_id|My social is {five two three, four one, eight eight zero six}.
national_id|Q: What's your National Insurance number? || It's {RB 26 74 19 C}.
national_id|Q: Do you have your NI number to hand? || Yeah, it's {J S, four two, seven one, nine eight, B}.
national_id|uh social security number {two one nine five six four four three eight}
national_id|Q: For security purposes, could you please confirm the last four digits of your Social Security number? || Yes, {3391}. || Q: Thank you, Denise.
national_id|Okay, it's {N as in November, R as in Romeo, six three, double oh, one five, A as in Alpha}. || Q: Thanks, that's your National Insurance number done.
national_id|Q: I'll need your full social to run the credit check. || Okay. {331}. || Q: Uh-huh. || {72}. || Q: Okay. || {0148}.
national_id|The last four of my social are {zero four six two}, and my zip is 60618.
national_id|Q: Is that social ending in {2957}? || Yes, ma'am.
national_id|I don't have my card with me but I know my social, it's {608 14 7720}.
national_id|Q: Can you verify your SSN for me? || All of it? || Q: Just the last four. || Oh, okay. {Nine oh one six}.
national_id|My National Insurance number is {PA 58 30 47 D}, and I've moved house so I need to update my address.
national_id|Q: So that's {JK nine one two four six five A}? || That's the one, yes.
national_id|I gave my social already, but sure, {four four seven}, um, {ninety-two}, {sixty-one thirty}.
national_id|Q: And your wife's Social Security number? || Let me ask her. Honey? Okay, it's {155-80-2643}.
national_id|It's {T for Tango, Y for Yankee, three eight, two nine, four four, C for Charlie}. || Q: Perfect, and that's your NI number, isn't it? || Yes.
national_id|hi i need to replace my social security card my number is {five six seven zero eight three three one nine}
national_id|Q: I have {284 55 7106} as your social, is that correct? || Correct.
national_id|Q: The last four of the social for the primary account holder? || That'd be my husband. It's {six eight four four}.
national_id|It's on my payslip, hold on. Right, NI number, {SE 24 60 91 B}.
national_id|Q: Social? || {Six two oh}, {three five}, {one one eight seven}.
national_id|No, my social ends in {5083}, not {5038}.
national_id|Q: I didn't catch your National Insurance number there. || Sorry, {L M double seven one oh three two D}.
national_id|For my W-2, you have the wrong social on there. It should be {391-06-5524}.
national_id|Q: Can you give me the last four of your tax ID or social? || Social's {one seven nine three}.
national_id|Sure, my Social Security number is {two three four}, uh, {seven six}, uh, {nine nine one zero}. || Q: Thank you. One moment.
national_id|Q: Could I take your NI number, please? It's two letters, six numbers and a letter. || {W K} {thirty-one} {forty-five} {eighty-two} {A}.
national_id|I'm calling about my benefits. {445-19-3872} is my social.
national_id|Q: Can I have your Social Security number? || {Four one seven}, {six two}, {eight three zero nine}.
national_id|Q: And the last four of your social? || {Nine one four seven.}
national_id|my social is {five three one} || {four eight} || {two two seven six}
national_id|Sure, my SSN is {238-71-4406}.
national_id|Q: For security, what's the last four digits of your Social? || Uh, that'd be {three oh eight eight}. || Q: {Three zero eight eight}, perfect.
national_id|Q: I'll need the full social to run the credit check. || Okay. {Six oh two} || Q: {Six zero two.} || {one nine} || Q: Okay. || {five five four one.}
national_id|last four of social is {seven two one three} and my name is Karen Whitfield
national_id|Q: What's the Social on the policy holder? || It's my husband's, hang on. {Three four four, eight two}, um, {one one six seven}.
national_id|I tried to activate the line online and it kept asking for my social, it's {one five six, five eight, ninety-three twenty}, and it says no match.
national_id|Q: Thanks, and the tax ID or Social Security? || Social. {Four five two three seven nine one eight six.}
national_id|Q: Verify the last four of your Social for me please. || {four} || {four} || {oh nine}
national_id|Q: Is the number ending in {8251}? || For my social? Yes, {eight two five one}.
national_id|Q: I'm not finding you under that social. || Let me say it again. {Two one nine, sixty-four, seven seven three two.}
national_id|Q: And your dependent's Social Security number? || She's, let me look at the card, {seven six four}, {oh one}, {three nine five eight}.
national_id|Um, full Social is {three zero nine dash six six dash four zero one two}.
national_id|Q: Which number did you enter when you applied for the loan? || My social security number, {five eight five} || {one two} || {six six nine oh.}
national_id|Q: What's your National Insurance number, please? || {J N four eight, two one, seven six C.}
national_id|Okay last four. Social, right? || Q: Yes, sir. || {Six six two four.}
national_id|Q: I have your social ending in {one nine zero five}. || Nope, that's my wife's. Mine ends in {four three eight seven}.
national_id|you want the whole social or just the last four || Q: the last four is fine || okay {zero zero seven eight}
national_id|I got a letter saying somebody opened an account with my Social Security number, which is {412-55-7830}.
national_id|Q: Go ahead and say your Social, one digit at a time. || {Five. Two. Eight. Nine. One. Three. Three. Zero. Seven.}
national_id|Q: We'll use the Social to look you up. || All right, it's {six one three}, uh, {two seven}, uh, {five one four four}. || Q: {Five one double four.} Thanks.
national_id|Q: Can I get the Social for the account owner? || That's my mom. {One two eight thirty four ninety six fifteen}.
national_id|Yeah, N I number is {PW 31 05 62 A}.
national_id|Q: Can I have the last four of your Social? || Sure, {4471}.
national_id|Q: And your Social Security number, please? || It's {five one two}, {sixty-four}, {eight eight oh nine}.
national_id|My social is {418-22-9035}. || Q: Thank you, give me one moment to pull up your claim.
national_id|Q: To verify your identity, I'll need the last four digits of your Social Security number. || {Two nine one six}.
national_id|Q: What's your National Insurance number, please? || Yeah, it's {J K 4 2 1 8 0 6 C}.
national_id|uh my social it's {two one three} {five five} {six seven eight one} || Q: {two one three five five six seven eight one} correct || yes ma'am
national_id|Q: Do you have her Medicare number handy? || No, but I have her Social. || Q: That works. || {607 33 1984}.
national_id|Q: I have {0348} as the last four of your social, is that correct? || That's correct.
national_id|I'm calling about my unemployment claim. My Social Security number is {three six two, seven one, four four five oh}.
national_id|Q: And I'll need your full nine-digit Social. || Okay. {Five three nine}. || Q: Okay. || {One eight}. || Q: Uh-huh. || {Seven two six four}.
national_id|Q: Could I take your National Insurance number? || {NS 73 15 62 A}, A for apple.
national_id|Do you need my social? || Q: Just the last four. || {Sixty-one eighteen}.
national_id|Q: What is the Social Security number of the policyholder? || My husband's is, let me see, {448-61-2207}.
national_id|Q: Whose social are you giving me? || That's my daughter's. {Six two six}, {four four}, {three one nine oh}.
national_id|last four of my social are {nine oh five three}
national_id|Q: Could you verify the last four of the SSN on the account? || Um, I believe it's {7720}. || Q: Hmm, that's not what I have. || Oh, then it's under my wife, {3316}.
national_id|My NI number? Um, one sec, it's on my payslip. {P W}, {four four}, {nine one}, {two seven}, {D}.
national_id|Q: I can look you up by Social if you'd like. || Yeah, let's do that. {145 70 3862}.
national_id|Q: Okay, so that's {five eight one, oh three, two two seven six}? || No, {two two six seven} at the end.
national_id|I filed my taxes in February and still no refund. || Q: Okay, what's the social on the return? || {261-88-4013}.
national_id|Q: And the last four of your Social for security? || {Four}, {four}, {one}, {nine}.
national_id|Q: Can you confirm your National Insurance number for me? || It's {S for sugar, H for hotel, 60 18 33 B}.
national_id|Q: May I have your Social Security number starting with the first three digits? || {Two nine six}, then {five oh}, and then {eleven forty-two}.
national_id|the social security number on the card is {three four one dash six six dash nine zero two seven}
national_id|Q: Your benefits are listed under Social Security number ending in {8205}, correct? || Yes, that's mine.
iban|I need to wire money to my daughter in Germany. Her IBAN is {DE38 5521 7220 7945 5142 25}.
iban|Q: Can you read me the recipient's IBAN? || Sure. {D E two six}, {six zero seven nine}, {one eight six three}, {three nine zero seven}, {one nine six zero}, {one zero}.
iban|Q: What's the IBAN for the refund? || {GB15 NWBK 4556 3885 3453 25}.
iban|{G B eight zero, B A R C, two four eight seven, four four seven three, one seven nine one, four four}. || Q: Lovely, and the account name?
iban|It's {GB13}, then {LOYD}, then {2049 66}, {8896}, {6178}. || Q: Thank you.
iban|Q: Okay, whenever you're ready with that IBAN. || {G B five one M I D L}. || Q: Yep. || {five seven seven six two six six eight}. || Q: Okay. || {six nine four oh nine four}.
iban|the iban for the landlord is {g b three eight h b u k four seven eight seven nine oh nine one six five five four nine one}
iban|Q: I'm seeing a Dutch account here. Is it {NL61 ABNA 8345 4088 18}? || Yes, that's my brother's.
iban|So it's N L, like Netherlands. || Q: Okay. || {NL28}, {I as in India, N as in Nancy, G as in George, B as in boy}, {three five seven seven}, {three one eight seven}, {seven six}.
iban|The transfer got rejected. I put in {FR75 6971 5217 3485 4575 5300 083} and it says invalid.
iban|Q: Does the account start with ES? || Yeah, {E S ninety, ninety sixty-one, thirty-six thirty-nine, seventy-three forty-five, thirty-one fifty-seven, ninety-nine seventy-two}.
iban|My mother's bank in Dublin, it's {IE79AIBK67622000205748}.
iban|Q: {I-E six six}, then what's after that? || {B O F I}, {seven eight one four}, {six eight one nine}, {seven oh two five}, {seven two}.
iban|uh its a belgian one {b e four six} {one two eight four} {four one five eight} {four oh two four}
iban|Q: And where should we send the euros? || An Austrian account, {AT58 4736}, um, {4520 8720}, um, {0663}.
iban|They e-mailed me the invoice from Zurich, and under IBAN it says {CH98 6214 1543 9738 4612 0}, and I've never done one of these before.
iban|Q: Portugal, okay. Go ahead with the international account number. || {P T five two}, {one eight nine zero}, {two four six one}, {seven four nine two}, {three eight two seven}, {one five nine eight}, {three}.
iban|Q: Let me read that back, {PL40 6666 0330 9366 1182 8959 8982}. || Yes, exactly.
iban|{D K four nine, two four seven two, one eight one one, oh six four six, four two}. That's the whole thing, it's Danske Bank, so it's shorter.
iban|For the supplier in Norway, their IBAN's {NO93 8370 6766 450}. || Q: So {NO93 8370}, {6766 450}.
iban|Q: I have {FI51 1340 8914} so far. || Right, then {4176 36}.
iban|I moved to Revolut, so the new one is {GB89 REVO 5104 6544 0445 13}. Please don't send it to the old one.
iban|Q: The IBAN ends in which digits? || It ends {nine six four three eight two}. The full one's {G B nine two M O N Z zero seven eight seven one five six zero nine six four three eight two}.
iban|Is it one long number? || Q: It is, yes, with letters at the front. || Okay. {N L four nine}, {R A B O}, {nine three oh six}, {seven oh six six}, {five nine}.
iban|Q: Take your time with it. || {DE15}, {0577}, {4681}, {38}, sorry, {3858}, {3909}, {22}.
iban|Q: To refund to a UK account I'll need the IBAN. || Okay, {G B zero five, B A R C, two five two four, eight seven four four, seven three one seven, nine one}.
iban|its {gb64 nwbk 4420 4966 8896 61} and the name on it is harris
iban|Shall I do it phonetically? {Golf Bravo three three, Lima Oscar Yankee Delta, seven eight five seven, seven six two six, six eight six nine, four zero}.
iban|Q: have you got the iban to hand || i have yeah {g b nine four h b u k nine double four seven eight seven nine oh nine one six double five four}
iban|The claim was paid in England, to {GB24MIDL91552172207945}. Is that the account you have?
iban|Q: which account should the travel insurance pay out to || its an irish one so {i e ninety a i b k} um {four six eight one} {three eight five eight} {three nine oh nine} {twenty two}
iban|Okay, the IBAN starts {I E five two}. || Q: {I E five two}. || Then {B as in boy, O, F as in Frank, I}. || Q: Okay. || {Eight three four five, four zero eight eight, one eight three five, seven seven}.
iban|can you double check the iban you guys have is {ie72 aibk 3187 7669 7152 17} because the refund bounced
iban|My German account is {D E one seven, three four eight five, four five seven five, five three zero zero, zero eight three nine, zero six}.
iban|Q: and for the lost baggage reimbursement where do we send it || yeah so the international bank number is {d e oh four thirteen sixty three ninety seven thirty four fifty three fifteen seventy nine ninety seven twenty six}
iban|Sure, so {DE66 7622 0002 0574}, and then {8781 46}. That's the IBAN for the clinic in Munich.
iban|ive got the iban here {d as in dog e as in echo one eight} {eight one nine seven} {oh two five seven} || Q: uh huh || {two one two eight} {four four one five} {eight four}
iban|I'm at the Amsterdam office, so payroll has {NL30 ABNA 0244 7364 52} for me, but nothing's landed since June.
iban|{n l ninety two i n g b oh eight seven two double oh double six thirty six} thats the iban
iban|Q: So that's {N L five two, R A B O, two one four one, five four three nine, seven three}? || Yes, perfect.
iban|we had to pay the hospital in spain directly and their iban right here it is {e s seven two eight four six one two oh one eight nine oh two four six one seven four nine two three eight}
iban|{ES73 2715 9836 6660 3309 3661}, that's what it says on the invoice under bank details.
iban|Q: whats the country code at the start of the iban || a t for austria so all together {a t nine three one eight two eight nine five nine eight nine eight two two four seven two one}
iban|IBAN, okay. {B E three one, eight one one zero, six four four six}, sorry, {six four six four, two eight three seven}.
iban|no thats my old bank the swiss one is {ch97 1441 7636 5104 6544 0} with a single zero at the end
iban|Q: Can you read me the IBAN? || Sure, it's {GB30 BARC 7317 9144 2049 66}.
iban|The IBAN is {G B zero seven, N W B K, eight eight nine six, six one seven eight, five seven seven six, two six}.
iban|Q: And the IBAN of the person you're sending it to? || It's {DE03 9822 4721 8110 6464 28}.
iban|I've got it here, it's {GB12LOYD68694094478790}.
iban|Q: What's the account you want the refund sent to? || It's an Irish account, so the IBAN is {IE32 AIBK 6452 0872 0066 36}.
iban|my iban is {gb 26 midl 9165 5491 5521 72}
iban|Okay, {G B nine two}. || Q: Yes. || {H B U K}. || Q: Mm-hm. || {Two oh seven nine, four five five one, four two two five, six oh}. || Q: Thank you, and that's the whole IBAN.
iban|Q: So I'll read that IBAN back, {NL44 INGB 3827 1598 36}. || Yes, that's correct.
iban|It starts with {DE23}, then {3706 7664 5013 4089 14}. That's the IBAN, yeah.
iban|Q: Do you know your IBAN? || Um, it's on the statement. {GB41 BUKB 7918 6339 0719 60}.
iban|I'm trying to send money to my sister in Spain, her IBAN is {ES33 3657 8568 9069 6630 9011}.
iban|Yes, it's {G for Golf, B for Bravo, three seven, M O N Z, one double oh five, double seven four six, eight one three eight, five eight}. || Q: Perfect, IBAN's gone through.
iban|The transfer bounced. I used {GB69 REVO 3909 2283 4540 88}, is that wrong?
iban|Q: Can I get the international bank account number? || {GB37 NAIA}, um, {1835 7731 8776 69}.
iban|it's a german account {D E one nine four one seven six three six five one zero four six five four four zero four four five} that's the iban
iban|Q: The IBAN I have on the system is {GB31 SRLG 7152 1734 8545 75}. || Yeah, that's the old one, we've changed banks.
iban|For the wire, the IBAN would be {FR06 8053 3600 9778 7710 9427 400}.
iban|Q: And the IBAN, please, slowly. || {G B five two}, {A B B Y}, {five three double zero}, {zero eight three nine}, {zero six one three}, {six three}.
iban|Right, my landlord gave me this IBAN, {IE33BOFI21415439738461}, and your app says it's invalid.
iban|Q: Where should we send the euros? || {NL66 ABNA 6660 3309 36}, that's ABN AMRO.
iban|Q: Is that IBAN for a Barclays account? || Yes, {GB37 BARC 9734 5315 7997 26}.
iban|Hmm, IBAN, IBAN. Oh, here it is, it's a Belgian one. {B E three three, seven five four one, seven seven one two, zero four one zero}.
iban|I'd like to set up a new payee, IBAN {GB82 NWBK 7622 0002 0574 87}, the name is Harper Joinery.
iban|Q: Could you spell the letters for me in the IBAN? || {G B nine one L as in Lima, O as in Oscar, Y as in Yankee, D as in Delta, eight one four six, eight one nine seven, zero two five seven, two one}.
iban|the iban number they gave me was {es63 7435 5437 8252 8559 0262}
iban|My IBAN's {GB sixty-four, B U K B, twenty-eight forty-four, fifteen eighty-four, zero two four four, seventy-three}.
iban|Q: It needs to be twenty-two characters, sir. || Okay, let me try again. {DE96 1307 8715 6096 4382 93}.
iban|Q: And have you got their IBAN there? || Yep. {I E two eight}, {A I B K}, {two oh one eight}, {nine oh two four}, {six one seven four}, {nine two}.
iban|Please change my salary account to {NL92 RABO 6118 2895 98}.
iban|Q: Is that {DE61 0670 6659 4100 8368 40}? || Yes, that's the IBAN on the invoice.
iban|Q: And what's the IBAN of the recipient? || It's {D E nine one, three nine six six, eight one six four, eight zero six two, three eight seven seven, seven three}.
iban|I'm sending a wire to my sister in Germany, her IBAN is {DE69 9777 3860 0517 8121 81}.
iban|Q: Start with the country code. || {D E} || Q: okay || {seven nine} || {one one nine two} || {nine three zero four} || {two nine four three} || {nine nine five nine} || {five five}
iban|Q: Could you read me the IBAN, please? || Yes. {G B seven zero, M I D L}, that's Midland, {seven five eight three, nine six six four, four one three eight, nine two}.
iban|The invoice says IBAN {NL44 ABNA 0896 1554 14}.
iban|it's a dutch account || {n l five four i n g b} || {four eight one four eight two seven six two four}
iban|Q: I have {D E two seven}, then {eight two eight two}. || Correct. {Five seven zero six}. {Four six four five}. {Five zero one zero}. {One five.} || Q: {One five}, thank you.
iban|Q: For international wires we need the IBAN. || Okay, I have it here in an email. {I E five four, B O F I, five five one six, three three four eight, seven nine zero four, seven six.}
iban|My landlord is in Madrid, so the account is {E S four five} {nine seven one six} {zero seven six eight}, um, {seven nine one zero} {eight nine zero eight} {nine three one one}.
iban|Q: Does the IBAN begin with FR? || Yes, {FR22 5759 0368 4354 9656 1152 363}.
iban|Let me read the IBAN to you slowly. {B E, nine one} || {seven eight three five} || {one one zero zero} || {seven three one eight.}
iban|Q: What account did the transfer go to? || {G B thirty-seven}, {M as in Mary, I, D as in dog, L}, {two five two two, two two four one, four seven eight nine, seventy}.
iban|The refund should go to {GB56LOYD65822335673511}, that's the IBAN on my statement.
iban|Q: Sorry, was that {A T two six}? || {A T two six}, yeah, for Austria. {Seven eight three five, five four five nine, seven one four four, four oh two two.}
iban|I think I typed the IBAN wrong. I put {D E six four, nine one one one, nine nine five seven, six four nine one, one three four two, five one}.
iban|Q: And the IBAN ends in? || {one three four nine}, no wait, {one three four two five one}.
iban|Q: Read back to me what you have for the IBAN. || {I E sixty-two A I B K}, {eight five one zero}, {double oh nine five}, {two double oh nine}, {three seven}.
iban|so the iban is uh {d e six seven six one six one three eight five eight seven four one three seven nine three nine oh nine}
iban|Q: Let me confirm, {N L six five, I N G B, one two five six, nine four three zero, eight six}? || That's right.
iban|There's a supplier in Belgium we pay every month, {BE78 6350 4953 3726}. || Q: And that's the IBAN? || Yes.
iban|Q: I'm ready for the IBAN. || {D as in David, E as in Edward, two one.} || {Three six six two.} || {Three seven nine nine.} || {Zero six six nine.} || {Nine two zero seven.} || {Eight two.}
iban|Okay, the IBAN starts with {GB26 BARC}. || Q: {GB26 BARC}, yes. || And then {162 929 162 793 29}.
iban|Q: Do you have your dad's bank details over there? || Yeah, it's one of those long ones, {E S five four, zero two seven five, eight five four five, seven seven six six, five five eight seven, one nine seven eight}.
iban|Q: The wire was returned, can you verify the IBAN for me? || Sure, {DE22 1597 8891 2460 4327 11}.
iban|IBAN is {N L three one I N G B} then {four nine eight eight} {one six eight six} {eight seven}.
iban|Q: And which IBAN should we send the refund to? || It's {GB17 BARC 7339 5594 4314 07}.
iban|Q: Could you read out your IBAN? || Yes, {D E nine one}, {one six one nine}, {six four nine five}, {six seven two two}, {zero six nine one}, {seven four}.
iban|My IBAN is {NL18RABO2430575776}.
iban|Q: Please go ahead with the IBAN. || {IE49 AIBK} || Q: Yes. || {4563 2194} || Q: Okay. || {0101 38}.
iban|i need the money wired to my account in france the iban is {F R three eight} {seven nine one zero} {zero three six six} {nine three one five} {five seven three five} {five nine six two} {eight two four}
iban|It's a Spanish account, so {ES26 0629 4114 9519 3303 7703}.
iban|Q: Can you confirm the IBAN on the form is {GB25 LOYD 2081 8661 8668 91}? || Yeah, that matches my statement.
iban|Q: What's the IBAN for your bank in Belgium? || {B E two four}, {three two nine nine}, um, {three three nine seven}, {nine zero seven four}.
iban|For the flight compensation, you can pay it to {DE97 9530 8166 1581 5935 82}.
iban|Q: Is there an IBAN? || There is, it's {G B three nine B A R C one one three two five one nine five seven two six seven two one}.
iban|Okay, the IBAN starts with {A T nine two}, then {two three three six}, {five zero four seven}, {four seven one four}, {eight zero seven six}.
iban|Q: We'll need your international bank account number. || Oh, the long one? {IT89 X959 2534 4920 9168 5007 386}.
iban|Q: How does your IBAN begin? || {N L eight seven}, {I N G B}, that's I as in India, and then {five three three four}, {one eight seven one}, {four six}.
iban|So my new IBAN is {CH02 2584 6291 9314 0696 2}, and the old one can be deleted.
iban|Q: I'll read it back: {G B two three, H B U K, three five two five, eight six eight nine, seven seven seven six, three two}. || Perfect.
iban|yeah the iban is {DE06 5725 5072 3654 1946 05} it's a checking account in my name
iban|Q: Where would you like the tour refund to go? || To my Irish account please, {IE25 AIBK 4088 2791 1724 41}.
iban|Q: Could you spell out the IBAN, letters first? || {G as in golf, B as in bravo, two zero}, {M O N Z}, {six two seven two}, {one nine seven three}, {zero four seven three}, {oh eight}.
iban|It says here on my bank card, IBAN, {BE07 3859 6383 5531}.
iban|Q: The IBAN we've got on file ends in {4429}. Is that still your account? || Yes, that's still the one.
iban|Is the payment going to {FR29 9253 1657 8251 8466 1548 885}? Because that's my account in Lyon.
iban|Q: I'm ready for the IBAN when you are. || {N L}, {double eight}, sorry, {N L eight nine}, {A B N A}, {three nine double seven}, {nine one six eight}, {six nine}.
iban|Q: And that's the IBAN for the landlord? || Correct, {GB70 LOYD 9215 1912 2018 07}.
iban|I set up the transfer to {D E two seven}, {nine five six four}, {zero eight seven six}, {zero one two four}, {three eight three three}, {three nine}, and it bounced.
iban|Q: What IBAN did the pension office give you? || They said {ES65 6069 1513 5779 4919 5426}.
bank_account|Q: What's the routing number on the bottom left of the check? || {080097787}.
bank_account|The account number is {four four one seven, oh nine two two, six eight}.
bank_account|Q: And the account number for your checking? || {00}, uh, {71 4482 9035}.
bank_account|Routing is {zero nine one, zero nine four, two seven four}, and the account is {six six one two oh eight eight three nine}.
bank_account|i want to set up autopay from my checking routing {one oh three nine one two five three two} account {eight eight oh two four one one nine seven}
bank_account|Q: Okay, I have the routing number. Now the account number, please. || Alright, it's {three oh two}, {five seven}, {one one eight}, {four}. || Q: {three oh two five seven}, {one one eight four}. Thank you.
bank_account|Can you give me your routing number for direct deposit? || Q: Of course. It's {2 6 5 6 3 5 1 5 5}.
bank_account|Q: Could I take the sort code and account number? || Sure. {20-45-77}, and {63904418}.
bank_account|Sort code's {thirty, ninety-four, sixteen}. Account number is {double oh seven one, four nine two six}.
bank_account|Q: Which account should we pull that from? || My savings at Wells Fargo, {7730914562}.
bank_account|Q: Read me the numbers off the bottom of your check. || There's two sets. The first is {oh eight seven, three eight six, two eight four}, and then {one nine four five five oh two eight}.
bank_account|My paycheck went to the wrong bank account. It should've gone to the one ending in {4409}, not {2217}.
bank_account|Q: I show a checking account ending in {eight three six one}. Is that where you'd like the refund? || Yeah, that's the one.
bank_account|Q: It's a nine-digit number. || {Zero eight four}, {five nine nine}, {one five five}. || Q: And that's Regions? || Yes, ma'am.
bank_account|Okay, account number, that's {2048}, {8816}, {59}. No, wait, {95} at the end.
bank_account|Q: What bank do you use? || Chase. || Q: And your account number there? || {Nine one four, two two six, seven oh three}.
bank_account|so the aba number is {one zero eight six six zero zero four one} right and then do you need the account too
bank_account|I'm overdrawn on {510-337-2286-4}, my joint checking account, and I want to know how.
bank_account|Q: Just to confirm, you want to move two hundred dollars from savings {three three one eight} to checking {nine oh five seven}? || Correct.
bank_account|Q: So the routing, {038811520}, and the account, {41190276}. Did I get that right? || Yes, you did.
bank_account|It's a Barclays account. {Two oh, one eight, five three} is the sort code. || Q: And the account? || {One three four double eight oh nine seven}.
bank_account|I don't have a check in front of me, but on the app it says account dot dot dot {seven one two six}.
bank_account|Q: We couldn't process the e-check. Can you repeat the account for me? || Yeah. {Five five}. {Five five oh}. {Nine one two, three four four}.
bank_account|My account at the credit union? Um, it's just a short one, {six four one oh eight}, and the share suffix is nine.
bank_account|Q: Your routing number I can look up, that's {127718851}. I just need the account. || {Forty-two, seventeen, eighty-eight, oh three, nineteen}.
bank_account|Q: What's the routing number on the bottom of the check? || It's {two seven two zero eight two five two six}.
bank_account|the account number is {4471 0098 253} and its a checking account
bank_account|Routing's {051955900}, account's {8830174462}. Want me to repeat that?
bank_account|Q: and whats the account number you want autopay to come out of || uh {six one oh four} {double two nine} {eight one three}
bank_account|Sort code {twenty, forty-five, seventeen}, account number {five five seven nine, oh one three two}.
bank_account|Q: can i take the sort code and account number for the direct debit || yeah sort code is {oh nine oh one two eight} and the account is {three one double seven four oh six two}
bank_account|Q: I'm showing the bank account ending in {7719} for the premium draft. || Right, that's the credit union.
bank_account|i just switched banks so the new aba is {one two one oh six two six six eight}
bank_account|The nine digits on the left of the check? {Three two two, two two zero, nine eight two}. || Q: And the longer number next to it? || {One one zero four, seven six three, eight eight zero five}.
bank_account|Q: savings or checking and the account number please || savings {9002 664 1187} no hang on thats {9002 664 1178}
bank_account|Last four digits of my bank account are {zero three three nine}, I think. The one where the claim check got deposited.
bank_account|Q: read me the routing first || {026 089 623} || Q: {026 089 623} okay and the account || {51 7730 2246}
bank_account|Q: Which bank account shall we set the Direct Debit up on? || It's NatWest, {60-12-33}, then {48201975}.
bank_account|my direct deposit went into somebody elses account mine ends in {four four one six} and theirs ended in {four four six one}
bank_account|I've got a voided check in front of me. Account {zero zero two seven, eight one three five, six nine four four}.
bank_account|the sort codes {30 94 71} if that helps its the lloyds on the high street
bank_account|Q: For the mileage reimbursement, is it still routing {071098229}? || Yes, but the account changed. Now it's {2209 415 673}.
bank_account|Q: whats the bank account number || good question let me pull up the app okay it says {seven} {seven} {one four} uh {three oh nine} {two two eight five}
bank_account|I need to change where my HSA contribution pulls from. New one is Chase, account {five two six, eight eight one, three zero four}, routing {three two two two one two eight oh six}.
bank_account|oh yeah the transit number at the bottom thats {oh six three} {oh three three} {six oh three}
bank_account|Q: What's the routing number? || {021005767}.
bank_account|My account number is {seven three oh two, double one eight four}.
bank_account|Q: Can I take your sort code and account number? || Sure, sort code {20-45-71}, account number {63918204}.
bank_account|the routing number is {one two one zero one eight seven three five} and the account number is {four four oh nine two one seven eight three six}
bank_account|Q: And the sort code? || {Forty, twelve, oh nine}.
bank_account|Q: I have a checking account ending in {4471} on file. Should I draft it from there? || Yes, please.
bank_account|Hi, I'd like the balance on my account, it's {30881257}.
bank_account|It's at the bottom of the check, right? So {026093473}. || Q: Yep, that's the routing. And the account number? || {8813320945}.
bank_account|Q: Sort code first, please. || {One one}, {oh five}, {double three}. || Q: And the account number? || {Two six seven one}, {nine oh four eight}.
bank_account|Account number {0047 8812 3390}, and I'm calling about an overdraft fee.
bank_account|Q: Would you like to pay from your bank account? || Yeah, checking. Routing is {063086511}, account is, um, {5540198273}.
bank_account|Q: Just to confirm, the sort code is {60 83 12}. || Yes, that's Starling.
bank_account|My bank account number is {nine one four}, {six six two}, {oh eight seven}, {three}.
bank_account|Q: What are the last four digits of the account you'd like the deposit to go to? || {Six zero two nine}.
bank_account|I want to set up a direct debit. The sort code's {09-01-28} and the account's {44718306}.
bank_account|Q: And your account number with us? || It's a savings account, {three one five}, uh, {seven seven eight}, {two four oh one}.
bank_account|okay routing number {one one one zero eight zero eight two five} || Q: That's Bank of America in Texas, right? || yes
bank_account|Q: So that's account {71850936}. || No, it's {71850963}.
bank_account|For direct deposit I have routing {071922285}, checking account {2209 4417 65}.
bank_account|Q: Do you have your bank details handy? || Yes, {three oh, nine oh, seventeen}, and then {one eight four six two two five nine}.
bank_account|They sent my payment to the wrong sort code, it should've been {23-69-72}.
bank_account|Q: Can you read me the nine digit number on the bottom left of the check? || {Three two two}, {two seven eight}, {three nine zero}.
bank_account|The account number? Oh, gosh. It's {two zero zero}, {eight one nine}, {four four five seven}. || Q: {2008194457}, thank you.
bank_account|My old account was {55120874} and I've switched over to Nationwide now.
bank_account|Q: And which account is the transfer coming out of? || The one that ends in {eight three one five}, my current account.
bank_account|Q: I've got the routing number as {044012533}. || That's correct, that's Chase.
bank_account|Sort code is {oh seven, eleven, sixteen}. I don't know the account number off the top of my head.
bank_account|Q: Okay, account number next. || {Eight double two nine}, {one seven oh six}. || Q: Brilliant.
bank_account|I gave the lady my checking account number, {67 004 5519 2}, and it still didn't go through.
bank_account|Q: Could you confirm the last three digits of your bank account number? || {Four oh seven}.
bank_account|Q: What's the routing number? || {Zero two one zero zero zero zero two one.}
bank_account|Routing is {one two one} || {zero zero zero} || {two four eight} || Q: And the account number? || {Six two zero four}, {one eight nine three}, {seven five}.
bank_account|My checking account number is {4471 0829 36}.
bank_account|Q: Account number please? || Uh, {three three oh seven}, {nine one six}, {four four eight}.
bank_account|Q: Okay, and that's for your savings account ending in {5512}? || No, the checking, it ends in {nine oh three one}.
bank_account|it's at the bottom of the check right || Q: yes, the first nine digits || okay {oh seven two} {triple oh} {three two six}
bank_account|I want to set up direct deposit. The routing number is {031201360} and the account is {7429 183 065}.
bank_account|Q: Sort code? || {Twenty, forty-five, seventeen.} || Q: And the account number? || {Six three one eight, two two nine four.}
bank_account|Q: I have your bank as Navy Federal, routing {two five six zero seven four nine seven four}. || That's the one.
bank_account|So for the ACH, the account number, let me see, {eight zero one}, {five five two}, uh, {three one seven}, {six.}
bank_account|Q: Last four of the bank account we should debit? || {Two seven} || {six eight.}
bank_account|They took the payment from the wrong account, it should come out of {one four four nine two oh eight three seven one}, that's my checking.
bank_account|Q: Let me repeat the account number, {five nine zero, two two seven, one four eight six}. || {One four eight eight}, eight at the end. || Q: {One four eight eight}, sorry.
bank_account|my account number is um {nine eight two} || Q: go ahead || {four one seven} || {three three six} || {oh five}
bank_account|Q: Which account are you calling about? || My business checking. {Four zero zero six one seven seven three two nine.}
bank_account|I'm reading off the check now. The routing number, {zero four four, zero zero zero, zero three seven}.
bank_account|Q: And where should the claim payment be deposited? || Into my Wells Fargo, account {2830 6617 94}.
bank_account|Q: Can you verify the routing number for me? || It's Ally, so {one twenty-four, double zero three, one one six}.
bank_account|account ending {six one five five} is overdrawn and i don't understand why
bank_account|Q: The transfer went from {7 1 0 4 4 2 9 8 6} to your money market, correct? || Yes, that's my account number.
bank_account|Um, okay, the account number is longer. {Zero zero zero one two seven} || {three eight six four} || {nine nine.} || Q: Okay, ending in {nine nine}.
bank_account|Q: And the account number on your deposit slip? || {Five two one seven}, dash, {oh eight six six}, dash, {three}.
bank_account|Yeah the ABA is {three one four oh seven four two six nine}, it's USAA.
bank_account|Q: We show a joint account with {eight eight two one} as the last four. || Right, that's ours. The new one is {four six seven zero}.
bank_account|Can you check the balance on savings? It's {seven three six, one one nine, two zero five four}.
bank_account|Q: What's the routing number on the check? || {021000076}.
bank_account|Q: And your account number? || It's {four four one nine}, {oh two three}, {seven seven one}.
bank_account|I'd like to set up direct deposit. Routing is {zero three one one zero nine six four zero} and the account is {8830 1147 26}.
bank_account|Q: Can I take your sort code? || Yeah, {twenty, forty-five, seventeen}. || Q: And the account number? || {Three one oh six, eight eight two nine}.
bank_account|Q: Which bank account should the benefits go into? || My checking, the account number is {1009 5527 314}.
bank_account|okay routing number {zero four four} {zero zero nine} {zero three eight} || Q: got it and the account || {six six one two nine eight four four zero one}
bank_account|Q: Your bank account ending in {6620} was debited on the third. || That's what I'm calling about.
bank_account|Sort code {60-14-22}, account number {71930458}.
bank_account|Q: Could you read me the nine-digit number at the bottom left of your check? || {053105428}. || Q: Great, and the next set of numbers? || {2 2 0 7 1 4 9 8 3}.
bank_account|I changed banks, so my new account number is {five five three one eight zero zero nine two}.
bank_account|Q: I have your routing as {063103478}. Is that right? || Yep.
bank_account|Q: Okay, checking or savings? || Savings. || Q: And the account number? || Uh, {nine oh one}, {double four}, {two seven six eight}.
bank_account|Q: For the direct debit, what's the account number? || {Four oh seven seven}, {two one one nine}. || Q: And the sort code? || {Oh nine}, {oh one}, {two eight}.
bank_account|My payment got returned. I think you've got the wrong account number, mine is {3381907752}.
bank_account|Q: Do you want to pay by card or by bank account? || Bank account. The routing number is {0 7 1 9 0 9 3 4 7}, and then the account is {5 5 0 2 1 8 8 6}.
bank_account|Q: Last four digits of the bank account on file? || {Three three oh two}.
bank_account|so the account number's {seven eight two two} {zero zero one six} {five nine} with wells fargo
bank_account|Q: Reading that back, account {four one six six nine three seven oh}, sort code {eleven oh four oh one}. || That's correct.
bank_account|Q: And what's the ABA number for your credit union? || Let me look. It's {325079392}.
bank_account|Can you pull the premium from my checking account instead? It's {000 448 219 7731}, and the routing is {121007597}.
bank_account|Q: What are the first few digits of your account number? || {Two two nine}. || Q: And the rest? || {Six one oh eight five three}.
bank_account|It's a Chase account. || Q: Okay, and the routing? || {One one one}, {nine zero zero}, {eight two four}.
bank_account|The sort code's {40 27 15}, it's HSBC. || Q: Lovely, and the eight-digit account number? || {62 41 09 83}.
bank_account|Q: Is your refund going to the account that ends in {0914}? || No, that bank account is closed.
bank_account|Q: Go ahead with your account number at the bank. || Okay, so that's {one four seven}, {one four eight}, {nine nine zero three}. || Q: {1471489903}? || Right.
phone|Q: What's a good callback number? || {614-555-0182}.
phone|You can reach me at area code {five oh three}, {two seven one}, {eight eight four six}.
phone|Q: And the phone number on the account? || It's {3 1 2, 8 4 5, 9 0 0 7}.
phone|my cell is {nine one nine four four two eighty six hundred}
phone|{(415) 638-2290}. Call me after five.
phone|Q: In case we get disconnected, what number are you calling from? || Uh, this is my work phone. {Seven one three}, {six two one}, {forty-four hundred}.
phone|Q: Is {two one four, seven six oh, three three one eight} still the best number for you? || No, I changed it. It's {two one four, three oh nine, five five one two}.
phone|It's {eight oh four}. || Q: Okay. || {Three five eight}. || Q: Uh-huh. || {Seven two nine one}.
phone|The technician should call my wife when he's on the way. She's at {480-922-1736}.
phone|Q: Can I have the number associated with your rewards account? || Yeah. It's either {six oh two, five five five, oh one four four}, or it might be under my mom's, {six oh two, four one eight, nine nine two oh}.
phone|Please call our fraud department directly at {1-800-432-7719}. || Okay, let me write that down.
phone|Q: The number for the outage line is {one eight eight eight, six three nine, four one hundred}. || {Four one hundred}, got it.
phone|Q: I'm showing a number that ends in {4415}, can we text a link to that one? || Sure.
phone|Q: Could I take a mobile number? || Yes, it's {oh double seven double oh, nine hundred, four six one}.
phone|My landline's {020 7946 0318}, but I'm hardly ever home.
phone|I'm on {07700 900 872}, that's my mobile.
phone|Q: What's the last four of the phone number? || {Three nine two seven}.
phone|Q: Same area code? || Yeah, {two oh six}. {Four four seven}, {one}, uh, no, {four four one}, {seven oh eight three}.
phone|Someone called me from {704.281.6650} saying my power was going to be shut off. Was that you guys?
phone|okay so dial {plus one} {nine seven two} {five eight oh} {two two one six} and ask for denise
phone|Q: And what's the other number, the secondary contact? || That's my son. {Five one two}, {eight six seven}, {five three oh nine}.
phone|Text me, don't call. {Three oh five, double nine two, four six one eight}. || Q: {Three oh five, nine nine two, four six one eight}. Okay.
phone|The phone I had back then? I think it was, uh, {six one seven}, {three three eight}, {oh}, {oh two seven five}.
phone|Q: I don't see an account under that. Did you maybe use a different phone number? || Try {954}, {370}, {1124}.
phone|just the local number {five five five} {zero one nine six} its the same area code as the store
phone|Q: Best callback number in case we get disconnected? || {Six one four, two eight seven, nine oh three three}.
phone|you can reach me at {312 847 2290} after five
phone|That's my old cell, {(503) 261-7748}. I don't have that one anymore.
phone|Q: is {seven oh two} {three six eight} {four four one two} still a good number for you || no thats my ex husbands
phone|Area code {eight one three}, {nine six one}, {twenty-four hundred}.
phone|i need to port {four oh four} {six two two} {eighteen seventy} over from verizon
phone|Yeah, if you ring me on {plus four four, two oh, seven nine four six, oh eight double one}, that's my desk.
phone|my mobiles {plus four four seven nine double one one two three four double eight} but the signals rubbish in here
phone|Q: And the number for your pharmacy? || Walgreens on Main, uh, {+1 919 782 4415}.
phone|Q: whats the number on the handset thats having the issue || {nine one nine} || Q: mhm || {seven eight two} || Q: okay || {oh three} {oh four}
phone|Text me at {213.640.9918}, and please don't call, I'm at work.
phone|emergency contact is my sister dana {two oh six five five oh nine one seven six}
phone|My cell is, um, {four eight zero, seven seven one}, and then {five two}, uh, {five two six nine}.
phone|Q: what number are you calling from today || its showing up probably as {9 7 2 4 0 8 3 1 5 6}
phone|Q: I'll call Dr. Patel's office for you at {6-1-7, 5-2-3, 8-1-0-0}, okay? || That'd be great.
phone|could you ring the hotel for me its {+44 131 496 0722} theyre in edinburgh
phone|The fax is {five one two, four seven four, sixty-six hundred}, attention medical records.
phone|Q: how do i get back to you if the laptop dies || my cell {eight five eight} {four five two} {oh triple seven}
phone|I'm over in Boston for work, so use my American mobile, that's {six one seven, three oh nine, double four two eight}, not the UK one.
phone|Q: let me read that number back {seven three two} {two two two} {eight oh nine one} || almost its {eight oh one nine} the rest is right
phone|Q: What's a good callback number? || {312-555-0184}.
phone|You can reach me at {seven one eight, five five five, zero one four two}.
phone|Q: Can I take a contact number for you? || Yeah, it's {07700 900 461}.
phone|my number is {oh seven seven double oh nine double oh one two six}
phone|Q: Is {(404) 555-0117} still the best number for you? || Yes, it is.
phone|My cell is {area code six one nine, five five five, oh one nine three}.
phone|Q: And your phone number in case we get disconnected? || Sure, {602}. || Q: Mm-hm. || {555}. || Q: Okay. || {0178}.
phone|Call my husband instead, he's on {07911 238 604}.
phone|Q: What's the mobile number on the account? || {Oh seven eight four three}, {two two nine}, {one oh six}.
phone|It's {5035550126}.
phone|Q: Could I have your landline? || It's {0161 496 0733}.
phone|I've changed my number, it's now {nine one seven}, {five five five}, uh, {zero one six eight}.
phone|Q: I'm calling you back from {1-800-555-0199}, so you know it's us. || Okay, thanks.
phone|Q: So the number ending in {0155}? || Yeah, you can text me there.
phone|if you need anything else just ring me on {oh one one three four nine six oh two eight seven}
phone|Q: May I have your telephone number, starting with the area code? || {Two one four}, {five five five}, {zero one three nine}.
phone|This is Maria Delgado, I left a message yesterday. My number's {(786) 555-0162}. Thanks.
phone|My work number is {020 7946 0318}, extension 22.
phone|Q: I'm showing {415-555-0109}. || No, that's my old one. It's {415-555-0190}.
phone|Q: What number are you calling from? || Um, {plus four four, seven nine four six, oh five three, eight eight one}.
phone|The store told me to call {888-555-0143} and they just sent me back to you.
phone|Q: And a mobile as well? || {07 5 double 6, 3 1 4, 9 double 0}.
phone|Let me give you my daughter's number. It's {eight one three five five five oh one seven four}.
phone|Q: Can you verify the phone number on file? || Either {303 555 0151}, or my wife's, {303 555 0152}.
phone|It's {oh one two one}, {four nine six}, {oh four six one}. || Q: {0121 496 0461}, lovely.
phone|Q: Which number should the driver ring? || Mine, {07488 915 027}.
phone|Yeah, {five one two, triple five, oh one eight eight}. And mornings are best.
phone|Q: What are the last four digits of your phone number? || {Zero one two one}.
phone|hi um im looking at a missed call from {702 555 0136} is that you guys
phone|My number is {770}, {555}, {01}, wait, yeah, {0114}.
phone|Q: What's a good callback number? || {Six one four, five five five, zero one eight two.}
phone|You can reach me at {(312) 555-0147}.
phone|my number is {seven oh two} || {five five five} || {oh one nine three}
phone|Q: And the phone number on the account? || Uh, {nine one seven}, {eight four six}, {two two oh three}.
phone|Q: Is {404-555-0119} still the best number for you? || Yes, that's my cell.
phone|Q: Can I have a number in case we get disconnected? || Sure, area code {five one two}, and then {four four seven}, {nine zero three eight}.
phone|I'm calling about the line {eight one eight, six one four, seven seven two one}, it has no service.
phone|Q: Which number are we porting over? || {Two one four} || Q: {Two one four.} || {Nine eight zero} || Q: {Nine eight zero.} || {Six six one five.}
phone|It's {three oh five five five five oh one six four}.
phone|Q: I'll text a link to the mobile ending in {0178}. || I changed phones, it's {seven seven oh, three nine two, four one five six} now.
phone|Please have the adjuster call my husband, he's at {four eight zero, two five one, eight eight nine zero}.
phone|Q: So that's {two zero six, five five five, zero one three one}? || {Oh one three three.} || Q: {Zero one three three}, okay.
phone|Um, my home phone, I never call it. {Eight four seven}, um, {three six four}, {twenty-two eighteen}.
phone|Somebody from your store called me from {1-888-555-0162} and hung up.
phone|Q: What's the ten-digit number you're calling from? || {plus one} {nine zero nine} {seven three one} {four six eight two}
phone|the second line is {six one nine eight oh two five five one seven} and that's my son's
phone|Q: Best contact number for the delivery driver? || {Five oh three, nine one four, double seven two six.}
phone|Q: Let me update that for you. New number? || {Seven one three} || uh-huh || {two eight six} || {one four zero nine} || Q: {One four zero nine}, great.
phone|I left a message with this number, {646 555 0108}, and nobody ever called.
phone|Q: And an alternate number? || My work's {six one seven, four two three, six thousand}.
phone|Yeah, I'm in the UK right now, so use {zero seven seven double zero, nine hundred, four one two}.
phone|Q: We're going to send a text to {nine five four, seven one eight, zero zero two six}, is that okay? || Yeah, go ahead.
phone|Call me back at {eight hundred, five five five, zero one five five}, ask for Denise in claims.
phone|Q: I see two lines, one's {three two one, four zero six, nine one one seven}. || And the other's {three two one, four zero six, nine one one eight}.
phone|it's a {nine seven two} number, {five five five} {zero one four one}
phone|Q: What's a good callback number? || {555-318-2274}.
phone|You can reach me at {six one two}, {four four nine}, {oh one eight three}.
phone|Q: Is this the best number to reach you, {(713) 402-8856}? || Yes, it is.
phone|my cell is {nine one nine} {seven three one} {double two oh six}
phone|Q: Can I get your phone number in case we get disconnected? || Sure, it's {404 617 9920}.
phone|Q: And the phone number on the account? || Uh, it might be my old one. {Three one zero}, {five five one}, {seven eight four four}.
phone|Q: What mobile number can we text the link to? || It's {07700 912 436}.
phone|Call my wife at {847-226-1095}, she handles the appointments.
phone|Q: And the area code? || {Five oh three}. || Q: And the number? || {Six six two}, {four one seven oh}.
phone|Q: If you have trouble logging in, just call us back at {1-800-466-2190}. || Okay, thanks.
phone|I've got two numbers, home is {215.884.3071} and my cell is {267.410.5598}.
phone|Q: Your contact number, please? || {Oh seven eight one two}, {double five nine}, {three oh four}.
phone|Q: Let me verify your telephone. Is it still {seven seven three, nine oh two, six six one four}? || No, I changed it. It's {three one two, four five five, eight zero zero nine}.
phone|Q: We tried calling the number ending in {2291}. || Yeah, that's my landline, I never pick up.
phone|yeah so just call me back on {+1 602 553 7718} any time after four
phone|The pharmacy's fax number is {nine five two}, {three eight one}, {four four zero two}.
phone|Q: And emergency contact? || My son, Derek. His number's {470}, {288}, um, {6135}.
phone|Q: The claims department's direct line is {eight eight eight, five five two, three three hundred}. || Let me write that down.
phone|Someone called me from {980-224-7613} this morning saying they were with you guys.
phone|Q: Can I have a daytime number for you? || {020 7946 0832}, that's my office.
phone|Q: What number are you calling from today? || I'm calling from {four one five, two two six, nine oh five one}.
phone|it's {seven oh two} {eight one eight} {four six three three} || Q: {seven oh two eight one eight four six three three} okay got it
phone|Q: Do you still have the same phone number? || No, the new one is {8585529047}.
phone|Q: And a number for the technician to call when he's on his way? || Yeah, {five one three, six oh four, twenty-two eighteen}.
phone|Q: What are the last four digits of the phone number on the account? || {Five eight eight one}.
email|Q: What's the best e-mail for your receipt? || {marlene.ortega52@gmail.com}.
email|It's {k h o f f m a n at yahoo dot com}.
email|Q: And your e-mail address? || {Big}, {underscore}, {Rick}, {underscore}, {seventy-four, at Hotmail dot com}.
email|Yeah, that's {T as in Tom, W as in William, alsh}, {at}, {comcast dot net}.
email|send it to {brenda jean lewis at gmail dot com} all one word no spaces
email|Q: I have {dpatterson@outlook.com}. Is that still good? || No, I don't use that anymore. Use {dana.patterson@icloud.com}.
email|Q: How do you spell that? || {S Z Y M A N S K I}. || Q: At Gmail? || Yeah, {at Gmail dot com}.
email|My e-mail is my first name dot last name, so {Tyrone dot Gaines}, {at}, {midstateplumbing dot com}.
email|Q: Where would you like the confirmation sent? || {jkim88@aol.com}. That's {J, K-I-M}.
email|It's {Sunny days}, with a number {four}, then {me}, {at}, uh, {live dot com}. || Q: So {sunnydays4me@live.com}? || You got it.
email|you can forward the form to us at {claims at lakeshore energy dot com}
email|Q: Can I get an e-mail? || Sure. {C dash Romero}, {zero one}, {at AT&T dot net}.
email|Oh, my e-mail. It's {grandma of six, at sbcglobal dot net}. Six is the number.
email|Q: And the e-mail on the account? || {R P}, {as in Peter}, {underscore}, {nolan}, {at}, {protonmail}, {dot com}.
email|The receipt never came. I gave them {Lucia.Ferrante@bellsouth.net}, and I checked my spam folder, too.
email|Q: Go ahead with the first part. || {M C, capital D}, {onough}. || Q: And after the at sign? || {Verizon dot net}.
email|it's {a dot chowdhury at btinternet dot com} that's {c h o w d h u r y}
email|Q: So the email would be {pfischer, at, county, dot, gov}. || No, it's {dot org}, not {dot gov}.
email|My work address, {hr@bluepinefurniture.com}, or if that bounces, {stacy@bluepinefurniture.com}.
email|Q: Did you want paperless billing? || Yes. {Jay three}, {at}, {jaysgarage}, {dot}, {biz}.
email|Okay, it's {W I L M A}, the number {two}, the letter {Q}, {at, me dot com}.
email|Q: I'll need to verify the e-mail. || Uh, it's probably {ted underscore and underscore lois at cox dot net}.
email|Q: We sent the reset link to {e.vasquez@pnmail.co}. || It's missing the M, it's {dot com}.
email|Just write down {hello at the corner bakery dot co dot uk}, and put my name in the subject.
email|Q: Your login is usually your e-mail. || Then it'd be {rsmith}, no dot, {1949, at earthlink dot net}.
email|Q: What's a good email for the claim documents? || {marisol dot vega at gmail dot com}.
email|its {t underscore brooks eighty four at yahoo dot com}
email|Sure, {jhalloran@outlook.com}. Everything lowercase.
email|Q: can you spell that email for me || sure {k a t h r y n dot o y e l a r a n at icloud dot com}
email|That's {D as in David, R as in Robert, U, E, T, T, at, lakeshoreclinic, dot, org}.
email|my work one is {p.nakamura@fairlinetravel.com} but im locked out of it thats why im calling
email|Pop it over to {sanjay hyphen mistry at btinternet dot com}, please.
email|Q: and your email address please || its {gemma forde} all one word {at hotmail dot co dot uk}
email|Q: I have {bigdaddyron55@aol.com} on the account. || Oh, gosh, yeah. My grandson set that up.
email|no no the email is {m as in mary c as in charlie f a d d e n} and then the number {seven at comcast dot net}
email|My email's just first initial, last name, so {L Petrakis, at, stbrendans, dot, edu}.
email|Q: so thats {renee dot w dot holt at protonmail dot com} || yep thats me
email|Email? It's my name, {Tobias Lindqvist}, no dots, {at gmail dot com}.
email|try sending the reset link to {dkeller dash admin at northfieldit dot com}
email|{W, Y, A, T, T, underscore, one nine seven one, at, msn, dot, com}. So {W-Y-A-T-T}, two T's, then the underscore.
email|Q: did the boarding passes go to the right place || they went to {carlosrunyan@gmail.com} it should be {carlosrunyon@gmail.com} with an o
email|Q: And the email? || {Hollis dot tran}. || Q: {Hollis dot tran}, at? || {At mercyvalley dot health}.
email|{r dot okonkwo at wexhamsurgery dot nhs dot uk} thats the practice manager drop her a line if theres a problem
email|Email it to my husband instead. {Big, B-I-G, Mike, M-I-K-E, oh three, at live dot com}.
email|Q: i cant read this email whats after the at sign || {optimum dot net} || Q: and before it || {judy f as in frank mullins}
email|Q: What's your email address? || It's {karen.whitlock@gmail.com}.
email|my email is {d hargreaves at btinternet dot com}
email|Q: And the best email for you? || {Mike underscore torres eighty-four at yahoo dot com}.
email|You can send it to {sales@brightpathroofing.com}.
email|Q: Could you spell that for me? || Yeah, it's {J E N N Y, dot, P A R K, at gmail dot com}.
email|It's {tom dot ellery at outlook dot co dot uk}.
email|Q: I've got {lsimmons22@hotmail.com}. Is that right? || Yes, that's right.
email|Sure, {A as in apple, B as in boy, K as in kite, nine one, at AOL dot com}.
email|Q: Where would you like the receipt sent? || To my email, {rebecca.osei@virginmedia.com}.
email|It's all lowercase, {bigdave}, um, {at comcast dot net}.
email|Q: Is it still the {patel family at gmail dot com}? || No, I use my work one now.
email|My email? {Christopher dot lang}, {L-A-N-G}, {at icloud dot com}.
email|Q: What's the email on the account? || It should be {s.mcallister@sky.com}, I think.
email|I never got the confirmation. My email is {dwright1975@gmail.com}, can you send it again?
email|Q: And your email, please? || {Nina hyphen brooks at live dot co dot uk}. || Q: Is that a dash, sorry? || Yeah, a dash.
email|yeah so its {john h miller at verizon dot net}
email|Q: Okay, so before the at sign? || {g.foster}. || Q: And after? || {Talktalk.net}.
email|Can you change my email to {tanya@fosterlandscaping.co.uk}, please?
email|Q: I can email you a return label. || Great. {P Nguyen, that's P N G U Y E N, at gmail dot com}.
email|It's my first name and last name, {walter benning, at, protonmail dot com}.
email|Q: Just reply to {support@homeshieldwarranty.com} with a photo. || Okay, will do.
email|My wife's email is {the real mrs jones, all one word, at gmail dot com}.
email|Q: Do you have an email for the e-ticket? || Yes. {Luis dot ortega dot nine at gmail dot com}.
email|Okay, {M}, {K}, {Doyle}, {D O Y L E}, {at eircom dot net}.
email|Send the invoice to {accounts at hollybank dental dot org}, not to me.
email|Q: Sorry, was that Ellie with an I E? || Yes, {ellie.marsh@ntlworld.com}.
email|I signed up with {r underscore kowalski at msn dot com}, and I can't log in.
email|Q: And that email again was? || {Priya S, one two three, at gmail}. || Q: Dot com? || Yeah.
email|Q: Can you confirm your email address? || Um, it's {gordonbeattie} {at} {blueyonder.co.uk}.
email|It's a school address, so {amanda dot reyes at lakeview dot k twelve dot ca dot us}.
email|Q: What's your email address? || It's {karen dot whitfield at gmail dot com}.
email|You can send the policy documents to {mark.delgado@yahoo.com}.
email|Q: And the email on file? || {t johnson eighty-four at hotmail dot com}
email|um my email's {s as in sam m i t h y} || {two two at aol dot com}
email|Q: I have {lisa.m.grant@outlook.com}, is that correct? || Yep, that's right.
email|Q: Where should I send the receipt? || To {brandon underscore lee at icloud dot com}, please.
email|My email is {d parker}, all one word, {at comcast dot net}.
email|Q: Spell that for me? || {R O D R I G U E Z} || {dot ana} || {at gmail dot com.} || Q: {Rodriguez dot ana at gmail dot com}, got it.
email|I never got the confirmation. I use {jenny.kowalski91@gmail.com}.
email|Q: Can I get a good email for the e-bill? || Sure, {the murphy family at verizon dot net}.
email|It's my first name, last name, so {patrick oneill at msn dot com}.
email|Q: So the email was {b as in boy, hayes, at}? || {at outlook dot com}, yes.
email|just email it to {accounts at harlow plumbing dot com} that's my business
email|Q: What email did you use when you signed up? || Uh, either {cmiller@live.com} or {c dot miller seventy-seven at gmail dot com}.
email|Q: We'll send a reset link to your email. || Is that {w thompson three at att dot net}? || Q: Yes, that's what I have.
email|{n washington} || {one nine six eight} || {at gmail.com}
email|Q: Email address? || It's a long one. {Stephanie dash and dash greg at proton mail dot com.}
email|My new email's {a.fitzgerald@bluepine.org}, can you change it, please?
email|Q: Okay, and what comes before the at sign? || {Hannah Brooks zero five.} || Q: And after? || {Yahoo dot com.}
email|Send it to my wife, she does the bills. {Maria dot santos at sbc global dot net.}
email|Q: And was it {kevin.tran at gmail} or at Yahoo? || Gmail. {kevin tran at gmail dot com}, no dot.
email|Yeah, it's {J as in John, P as in Peter, Morris, at icloud dot com}.
email|the email for the order was {doug dot elkins two at q q mail dot com} i think
email|Q: The quote went to {info@ridgewayroofing.com}. || Right, but I need it at {bill@ridgewayroofing.com}.
email|Could you resend the claim form to, uh, {l dot} || {carmichael} || {at hotmail dot com}
email|Q: And what's your email address? || It's {maria.castillo82@gmail.com}.
email|{j thompson at outlook dot com}. || Q: Great, I'll send the receipt there.
email|Q: Can you spell that email for me? || {K-A-R-E-N dot W-U at yahoo dot com}.
email|Q: What email should I send the itinerary to? || {Dave Henderson, all one word, at gmail dot com}.
email|my email is {b r o o k s underscore t at hotmail dot com}
email|Q: I have {lpatel@comcast.net} on file. Is that still good? || Yes, that's the one.
email|Send it to my work email, {steven dot oakes at northfieldlaw dot com}.
email|Q: Is that at Gmail? || Yes, {sunnyday1975 at gmail dot com}.
email|Q: And the best email for you? || {P as in Peter, R-I-T-C-H-A-R-D at A-O-L dot com}.
email|I never got the confirmation. I used {amy_lopez@icloud.com} when I signed up.
email|Q: Could I take an email address? || Yeah, it's {sarah dot whitcombe at btinternet dot com}.
email|Q: You can also send your documents to {claims@meridianhealthplan.org}. || Claims at, okay, I've got it.
email|it's {tommy t o m m y four four at live dot com} all lowercase
email|Q: What's your login email? || It's my first name and last name, {nicole.barrett@verizon.net}.
email|Q: So that's {r-mendez at sbcglobal dot net}? || No, no dash. {R mendez at sbcglobal dot net}.
email|I'd like to change the email on my account to {grandmajo at proton dot me}.
email|Q: Email on the booking? || {Hughes family five at gmail dot com}, and the five is the number.
email|Q: Where would you like the return label sent? || {kevin.d.price@gmail.com}, please.
email|Can you resend it? Maybe to {c dot nguyen at state dot mn dot us} this time.
email|Q: I just need the part before the at sign. || Oh, {jbird dot miller}. || Q: And it's Gmail? || Yes, {gmail dot com}.
email|so email wise it's {wanda hyphen fields at earthlink dot net}
email|Q: Our support address is {help at streamly dot tv}. || Okay, and someone will reply?
email|Q: How do you spell your email? || {D-E-S-H-A-W-N}, then {two one}, {at gmail.com}.
email|Yeah, my address is {paul.greene@ntlworld.co.uk}, Greene with an E on the end.
email|Q: Okay, I've sent it to {mrs dot abernathy at msn dot com}. Let me know when you see it. || It's here.
birth_date|Q: Can you verify your date of birth? || {March 14th, 1962}.
birth_date|I was born {November second, nineteen seventy-nine}.
birth_date|Q: And your birthday? || {Oh seven}, {twenty-three}, {eighty-eight}.
birth_date|My date of birth is {04/19/1955}.
birth_date|Q: Date of birth, please? || {Twelve}, uh, {one}, {sixty-seven}. || Q: {December 1st, 1967}. Thank you.
birth_date|birthdate is {august thirty first two thousand one}
birth_date|Q: What month and day were you born? || {June ninth}. || Q: And the year? || {Ninety-four}.
birth_date|Yeah, {9-9-49}. I'm an old man. || Q: Happy early birthday, then!
birth_date|Q: I have the DOB as {May 6th, 1983}. || It's {May 16th}. They always get that wrong.
birth_date|My husband's the account holder. He was born on {the tenth of February, nineteen fifty-one}.
birth_date|Q: Could I take your date of birth to pass security? || Yes, it's {the 3rd of the 11th, 1970}.
birth_date|Q: And D.O.B.? || {January the 25th of '76}.
birth_date|Okay, name is Gloria Tran, {two twenty-eight nineteen ninety}, and my zip code's 95122. || Q: Thank you, I've matched your name, birth date, and zip.
birth_date|I turned twenty-one on {October 5th}, so, what, {2003}, is the year I was born.
birth_date|Q: Who else is authorized? || My daughter, Kayla. || Q: And her date of birth? || {Seven seventeen oh two}.
birth_date|um i was born in {nineteen forty four} {september the twelfth}
birth_date|Q: For the loyalty program, we give you a birthday coupon. When is it? || Oh, fun. It's {April 30th}.
birth_date|Q: What's the year of birth? || {1959}.
birth_date|I'm a Christmas baby, {December twenty-fifth, nineteen eighty-two}.
birth_date|Q: Date of birth for the primary? || {Eleven}, {eleven}, {seventy-one}. || Q: {Eleven eleven seventy-one}, easy to remember.
birth_date|That can't be right, because I was born in {July of 1986}, and you've got me down as a senior.
birth_date|Q: I need the account holder's birth date. || My mom's? It's, um, {August}, {the fourth}, no, {the fifth}, {1948}.
birth_date|My birthday's {10 12 64}. || Q: Is that {October 12th}? || Yes, {October 12th}.
birth_date|Q: And just confirm when you were born, sir. || {Nineteenth of May}, {fifty-eight}.
birth_date|yes the d o b is {zero two zero six nineteen seventy three} and my last name is spelled b e c k e r
birth_date|Q: Date of birth? || {Eleven, four, sixty-two}.
birth_date|Q: and the patients birthday || {march third nineteen eighty nine}
birth_date|My DOB is {07/22/1975}, and I'm calling about a referral.
birth_date|i was born {january the ninth fifty one} so ive been on medicare a good while
birth_date|Q: Can you verify your name and date of birth for me? || Alicia Moreno, {August 30, 1994}.
birth_date|Q: name and dob || deshawn pruitt {6 14 2001}
birth_date|She was born on the {second of February, nineteen forty-eight}. She's my mum, I've got power of attorney.
birth_date|date of birth is the {twenty third of the eleventh eighty six}
birth_date|Q: I've got {September 12th, 1983} here as the birth date. || No, it's {September 21st}. They always get that backwards.
birth_date|so the newborn we need to add to the plan was born {october nineteenth twenty twenty five} at four in the morning
birth_date|Q: And how about the birthday on that membership? || {Oh two, twenty-eight, seventy}.
birth_date|Q: which traveler is this for || my wife the passport has her birthday as {4 17 79}
birth_date|Two kids on the plan. Ethan's birthday is {December 5, 2012}, and Chloe's is {July 1, 2015}.
birth_date|Q: what day were you born || the {eighteenth} || Q: and the month || {april} || Q: and the year || {sixty eight}
birth_date|Patient is a male, born {ten ten two thousand}, here for a prior auth.
birth_date|they have my birthday wrong its {june sixth nineteen fifty seven} not {june sixth nineteen seventy five}
birth_date|Q: And could you confirm your date of birth for security? || Yeah, {14th of the 5th, 1990}.
birth_date|Q: when was your lad born || {thirty first of october ninety nine} halloween funnily enough
birth_date|It's under my dad, Walter Kemp, K-E-M-P. Birthday, {one, twenty-five, nineteen thirty-nine}.
birth_date|Q: date of birth month day and year || {november} um {seventh} {seventy two}
birth_date|Q: Can I get your date of birth? || {March 14th, 1982}.
birth_date|My date of birth is {the twenty-third of June nineteen seventy-one}.
birth_date|Q: And your date of birth, please? || {Oh nine, oh two, sixty-eight}.
birth_date|i was born on {november third nineteen fifty nine}
birth_date|Q: Can you confirm your date of birth for me? || Yeah, {12/08/1990}.
birth_date|Q: And what's the patient's birthday? || She was born {July 7, 2015}.
birth_date|It's {the fourth of the eleventh, seventy-eight}. || Q: Lovely, so {4th November 1978}.
birth_date|Q: Birth date? || {Five, twenty-one, eighty-seven}.
birth_date|My DOB is {10-17-1963}.
birth_date|Q: I just need your date of birth to pull up the record. || Sure, {August}, um, {thirtieth}, {ninety-four}.
birth_date|Q: So your date of birth is {January 19th, 1955}? || That's correct.
birth_date|He's my son, his birthday is {the second of May 2009}.
birth_date|Q: When were you born, sir? || {1947}, {December 12th}.
birth_date|Q: What's your month and day of birth? || {April ninth}.
birth_date|Yes, it's James Whitaker, {twenty-eight, three, eighty-five}. || Q: Thanks, James, that's your date of birth matched.
birth_date|Q: Could I take your full name and date of birth? || Susan Fairley, {17th of September 1966}.
birth_date|yeah date of birth is {zero six zero one nineteen ninety nine}
birth_date|Q: And the year you were born? || {Seventy-three}. || Q: Thank you.
birth_date|I think you've got my birthday down wrong, it should be {February 11th, 1980}, not {February 1st}.
birth_date|Q: And the other driver's date of birth? || My wife's is {6/25/79}.
birth_date|Q: Date of birth? || {First of January nineteen sixty}. Easy to remember.
birth_date|I'm calling for my mom, Gloria Hensley, date of birth {October 5th, 1941}.
birth_date|Q: Can you give me the date of birth on the policy? || It's {the thirty-first of the eighth, two thousand and one}.
birth_date|She's just turned four, she was born on {the 9th of February, 2021}.
birth_date|Q: And your birthday? || {May 6th}. || Q: What year? || {1988}.
birth_date|Q: For security, what is your date of birth? || {Twenty-second}, {twelfth}, {nineteen fifty-two}.
birth_date|I'd like to make an appointment. My name's Omar Haddad, born {April 18, 1976}.
birth_date|Q: I have {03/30/1969} as your birth date. || No, I'm {03/13/1969}.
birth_date|It's {eight}, {sixteen}, {nineteen ninety-one}. || Q: Thanks. And that's your date of birth, not your husband's? || Mine, yes.
birth_date|my birthdays {the nineteenth of july eighty three}
birth_date|Q: And your date of birth? || {March fourteenth, nineteen seventy-two.}
birth_date|Q: Can you verify your date of birth for me? || {Oh six, twenty-one, eighty-five.}
birth_date|my birthday is {september third} || {nineteen ninety one}
birth_date|Date of birth is {11/08/1967}.
birth_date|Q: And your daughter's date of birth, since she's on the plan? || She was born {July 19th, 2009}.
birth_date|Q: What's your birth date, please? || {Twelve} || {twenty-nine} || {fifty-four.}
birth_date|Q: I have {May second, nineteen eighty}. || That's right, that's my birthday. || Q: Great, thank you.
birth_date|I was born on {the fifth of April, 1949}, so I've been with you people a long time.
birth_date|Q: When were you born? || Uh, {February}, {February tenth, nineteen sixty-three}.
birth_date|Q: For verification, full name and date of birth? || Thomas Reilly, {eight seventeen seventy-eight}.
birth_date|d o b is {zero one two four nineteen ninety six}
birth_date|Q: And the date of birth for the second driver? || My son, um, he's {October thirtieth, two thousand five}.
birth_date|Q: Month and day of your birthday? || {August eleventh.} || Q: And the year? || {Eighty-eight.}
birth_date|DOB? {Four, six, seventy-one.}
birth_date|Q: You said {six twelve fifty-nine}? || No, {six thirteen}. {June thirteenth, nineteen fifty-nine.}
birth_date|Hi, this is Gloria Mendez, date of birth {January 31, 1958}, calling about my auto policy.
birth_date|Q: We just need the date of birth of the account holder. || That's my mother, {November the second, nineteen forty-one}.
birth_date|Sure, {twenty-third of December, seventy-six}. || Q: And that's your date of birth? || Yes.
birth_date|Q: Date of birth? || {Nine} || {nine} || {nineteen eighty-three} || Q: {September ninth, eighty-three}, thank you.
birth_date|I think you have my birthday wrong. It should be {04/27/1990}.
birth_date|Q: And what year was that? || {Nineteen sixty-six}. So {ten}, {five}, {sixty-six}. || Q: Thank you for confirming your date of birth.
birth_date|Okay, my name's Andre Coleman and I was born {May sixteenth, ninety-four}.
birth_date|Q: I'm adding the baby to the policy. Birth date? || She came on {February 8th} || {twenty twenty-five}.
birth_date|the birthday on the account should be {three three nineteen seventy}
birth_date|Q: Spouse's name and birthday? || Linda, and it's, oh gosh, {July}... {July twenty-second, nineteen sixty-one}.
birth_date|Q: Can I get your date of birth? || {March 14th, 1968}.
birth_date|Q: And your date of birth, please? || {Seven twenty-two eighty-five}.
birth_date|My name is Ronald Pierce, date of birth {10/03/1951}.
birth_date|Q: Patient's birthday? || She was born on {the second of June, two thousand eleven}.
birth_date|Q: What's your DOB? || {Oh four, nineteen, seventy-seven}.
birth_date|i was born {november ninth nineteen forty six}
birth_date|Q: Can you verify your full name and date of birth? || Lisa Hartman, {9-30-62}.
birth_date|Q: I have {January 5th, 1990} as your birth date. Is that correct? || Yes.
birth_date|Q: And could I take your date of birth? || Yeah, {twenty-third of the eighth, sixty-four}.
birth_date|It's for my son, his birthday is {May 17, 2015}.
birth_date|Q: Month, day, and year you were born? || {December}, uh, {twelfth}, {nineteen fifty-nine}.
birth_date|Q: And your birthdate? || {2/11/73}. || Q: {February 11th, 1973}. Thank you.
birth_date|date of birth is {six one ninety four}
birth_date|Q: What year was he born? || {1938}. || Q: And the month and day? || {August 8th}.
birth_date|Hi, I need to refill a prescription. Last name Dawson, born {four, twenty-six, nineteen eighty}.
birth_date|Q: For security, can you confirm your date of birth? || Certainly, {15 February 1956}.
birth_date|Q: Okay, and date of birth for the second traveler? || {October twenty-first, two thousand and three}.
birth_date|Q: How about his date of birth? || Oh gosh. {September}, I think {the 3rd}, {'49}.
birth_date|Q: The date of birth I have doesn't match. || Did you put {twelve oh five ninety-one}? || Q: I had {twelve fifteen}.
birth_date|my birthday's {july fourth} so it's easy to remember {nineteen seventy}
birth_date|Q: Can I have the member's date of birth? || Mine or my wife's? || Q: Your wife's. || {11-28-1983}.
birth_date|Q: When were you born, ma'am? || {The 19th of April, 1944}.
birth_date|Q: So that's Emily Sanders, born {August the thirtieth, 1999}? || That's me.
birth_date|Her DOB's {01/16/2020}, she's turning five.
birth_date|Q: Thank you, and date of birth? || {Three}, {eight}, {fifty-five}.
one_time_code|Q: I just sent you a six-digit code. Can you read it back? || {482913}.
one_time_code|My PIN is {seven two oh four}.
one_time_code|Q: And the three digits on the back of the card? || {Three one eight}.
one_time_code|Okay, I got the text. It says your verification code is {5 0 9, 9 4 1}.
one_time_code|the code they texted me is {eight three three} {one seven six} did you get that
one_time_code|Q: What's the security code? || {Oh four four}. || Q: {Zero four four}. And the billing zip?
one_time_code|Q: Do you have a passcode on the account? || Yeah, it should be {2580}.
one_time_code|Did it come through? || Q: It should be a text from a short number. || Oh, here it is. {Sixty-one}, {ninety}, {thirty-four}.
one_time_code|CVV is {729}, and it expires nine of twenty-six.
one_time_code|Q: On an American Express, it's the four small numbers on the front. || Okay, {six six one two}.
one_time_code|I set my PIN to {one nine four five}, and it won't take it at the ATM.
one_time_code|Q: Your temporary PIN is {8816}. You'll be asked to change it the first time you use it. || {8816}. Okay.
one_time_code|Q: It'll be good for ten minutes. What do you see? || G dash {four one seven}, {double zero}, {six}.
one_time_code|It just says one-time passcode, {703 318}, do not share it with anyone. || Q: You're fine, I'm the one who sent it.
one_time_code|Q: Read me that code when you get it. || It's not here yet. Oh, wait. {Nine}, {nine}, {two}, {seven}, {five}, {one}.
one_time_code|Um, the number on the back by the signature, it's {eight oh five}.
one_time_code|Q: Can you give me the four-digit PIN you set up for phone support? || I think it's {3117}. || Q: That's not matching. || Try {3171}.
one_time_code|i need to get into my voicemail or my account whatever the pin was {four four two one} and now it's locked
one_time_code|Q: Was that {six one nine}, {three eight two}? || No, {six one nine}, {three eight three}. || Q: Okay, that code went through.
one_time_code|The authenticator app's showing {2 7 7 4 0 8}. Oh, it just changed. Now it's {6 1 3 0 9 5}.
one_time_code|Q: And the CVC? || The what? || Q: The last three on the signature strip. || Oh, {one one six}.
one_time_code|The security PIN for the account would be my old house number, {1422}.
one_time_code|Q: Please give me the second and fourth digits of your passcode. || {Five}, and {nine}.
one_time_code|Q: I'm going to give you an access code for the website. It's {K seven four, M two two}. || {K seven four, M two two}. Got it.
one_time_code|It said enter {94 02 71} to log in, but where do I enter it?
one_time_code|Q: I just texted you a six-digit code. || Okay, it's {four zero nine, two two eight}.
one_time_code|it says your verification code is {773104} do not share it with anyone
one_time_code|The three digits on the back of the card are {six one four}.
one_time_code|Q: and the security code on the back of the card || {oh eight two}
one_time_code|My account PIN? {Five five nine one}, I think.
one_time_code|Q: go ahead and pick a four digit passcode for the account || lets do {two four six eight}
one_time_code|Q: Did the authenticator give you a number? || Yeah, {381 650}. Oh, it just changed. Now it's {924 017}.
one_time_code|cvv is {three seven nine} and you dont need the zip right
one_time_code|Q: And the CID? On an Amex that's the four little numbers on the front. || Got it. {8 0 2 6}.
one_time_code|Q: read me the code when you get the text || hang on its coming through now okay {nine} {one} {one six} uh {three oh}
one_time_code|Q: Can I take the first and third digits of your security passcode, please? || First is {seven}, third's {two}.
one_time_code|ive just had a text through from you lot it says one time passcode {double four one nine oh seven}
one_time_code|The voicemail password is {1987} and then pound, but it's not taking it.
one_time_code|Q: did the old carrier give you a transfer pin || they did {six oh three three one eight}
one_time_code|Is it the login code in the email? That one's {A, seven, K, four, nine, Q}.
one_time_code|i put in {550218} which is the code from the text and it says its expired
one_time_code|Sorry, the security number, last three on the signature strip, that's {one double nine}.
one_time_code|Q: whats the temporary pin on your letter || erm right the letter says {three eight one seven}
one_time_code|My CVC is, let me flip it over, {two, zero, five}. Expires eleven twenty-eight.
one_time_code|Q: the push isnt going through so give me one of your backup codes instead || alright its {eight one nine four} dash {two two oh six} || Q: {eight one nine four} dash {two two oh six} perfect
one_time_code|Q: I just sent you a six digit code, can you read it to me? || Yes, {482 917}.
one_time_code|The code is {seven one three oh six four}.
one_time_code|Q: And the three digits on the back of the card? || {Three nine one}.
one_time_code|Q: What's your PIN? || {4472}.
one_time_code|Okay, I got the text. It says {905133}.
one_time_code|Q: And the security code? || Uh, {six zero eight}.
one_time_code|Q: Can you tell me your telephone banking passcode? || Yeah, it's {two nine}, uh, {one seven five}.
one_time_code|my verification code is {eight eight two one five zero}
one_time_code|Q: CVV? || {217}.
one_time_code|Q: It'll come as a text from us. || Okay, hold on. It just came in. {Three four oh}, {nine two six}. || Q: Thank you, you're verified.
one_time_code|Your verification code is {661204}, that's what it says on my phone.
one_time_code|Q: Could you give me the second and fourth digits of your passcode? || The second is {eight}, and the fourth is {three}.
one_time_code|Q: Please enter or say your four digit PIN. || {One nine eight four}.
one_time_code|I have the CVC, it's {five five two}.
one_time_code|Q: And since it's an American Express, I need the four digits on the front. || {7038}.
one_time_code|Q: Did you get the code? || Yeah, it's, um, {20 71 95}.
one_time_code|I put in {5519} and it says that's the wrong PIN.
one_time_code|Q: Go ahead and read me that one-time passcode. || {Double four seven, nine one eight}. || Q: {447918}. Perfect.
one_time_code|Q: Do you have a security PIN on the account? || I think it's {zero three one two}.
one_time_code|The first code didn't work, but the new one is {138-406}.
one_time_code|Q: And the last three digits on the signature strip? || {Oh four six}, and the expiry's oh eight twenty-six.
one_time_code|it just says use {four one nine nine seven three} to sign in
one_time_code|Q: What's the four digit access code we set up for you? || {Six seven}, {two one}.
one_time_code|Can you reset my voicemail PIN? It was {8260} before.
one_time_code|Q: I've emailed you a verification code just now. || Let me look. Yes, {seven five}, {two eight}, {one four}.
one_time_code|Q: And the CVV number, please. || Where's that? || Q: On the back. || Oh, {eight seven four}.
one_time_code|Q: So the code was {773 029}? || Yes.
one_time_code|My account PIN is {two two nine seven}, if you need it.
one_time_code|Q: Okay, what's the authentication code in the app? || Right now it's {540 682}, but it changes in a few seconds.
one_time_code|Expiration is six of twenty-nine and the security code is {nine one zero}.
one_time_code|Q: I just texted you a six-digit code. Can you read it to me? || {Four eight one, nine zero three.}
one_time_code|the code is {seven two} || {five five} || {one eight}
one_time_code|It says your verification code is {839204}.
one_time_code|Q: And the three digits on the back of the card? || {Six one seven.}
one_time_code|Q: What's your four-digit PIN? || Uh, {two two nine four}.
one_time_code|Q: Did you get the text message yet? || Not yet. Oh, here it is. {Five oh six, three three eight.}
one_time_code|My account passcode is {one nine four zero}, or at least it used to be.
one_time_code|Q: Security code? || {Nine oh two.} || Q: {Nine zero two}, okay.
one_time_code|Q: Please read the one-time passcode we emailed. || {Three one seven} || Q: {Three one seven} || {zero six four}
one_time_code|yeah the cvv is {four four one}
one_time_code|Q: And since it's an Amex, the four numbers on the front? || Um, {seven oh three eight}.
one_time_code|I typed in {660418} and it keeps saying invalid code.
one_time_code|Q: What's the port-out PIN from your old carrier? || Let me see. {Eight two five, one one nine.}
one_time_code|Okay, I got it, {nine one four four two seven}. || Q: Thank you, that code verified.
one_time_code|Q: And the CVC? || On the back, right? {Three eight five.}
one_time_code|Q: Do you remember the PIN you set up on the account? || I think it's {six oh six one}. || Q: That's not matching. || Then try {six oh one six}.
one_time_code|the passcode from the app says {one two eight} uh {seven five zero}
one_time_code|Q: A code should be coming to your phone. || It buzzed. It says {double four, nine two, oh seven}.
one_time_code|Could you reset my ATM PIN? It's {5813} now and I want a different one.
one_time_code|Q: I'm sending the verification code now. || Okay. || {Two} || {seven nine} || {three six one} || Q: {Two seven nine three six one}, perfect.
one_time_code|Q: Just the security number off the back and we're done. || {Oh five} || {two.}
one_time_code|Text says do not share this code with anyone, {forty-one eighty-six thirty}.
one_time_code|Q: What were the last two digits of that code? || {Eight one.} The whole thing was {five nine two zero eight one}.
one_time_code|My voicemail PIN is {seven three three seven} and it won't take it.
one_time_code|Q: You should've gotten an authorization code, starts with G. || Yeah, {G dash one seven five, two oh six}.
one_time_code|Q: I just texted you a six-digit code. Can you read it to me? || Yeah, it's {482917}.
one_time_code|Q: And the three digits on the back of the card? || {Seven four one}.
one_time_code|Q: What's your four-digit PIN? || {Twenty-two oh six}.
one_time_code|I got the text. It says your verification code is {903 115}.
one_time_code|Q: Do you see the security code on the back? || Um, {083}.
one_time_code|okay it just came through {five five one} {eight zero two}
one_time_code|Q: Can you give me the account passcode? || I think it's {one nine seven four}.
one_time_code|Q: And the CVV? || It's {six two nine}.
one_time_code|Q: The code should be in your email now. || Let me refresh. Okay, {7 7 3 0 4 8}. || Q: Thank you, you're verified.
one_time_code|The pin I set up for my account was {8834}, but it's saying it's wrong.
one_time_code|Q: There's a four-digit number on the front of the Amex, what is that? || {Four four one seven}.
one_time_code|Q: Your temporary password PIN is {316942}. Type that in now. || Okay, it worked.
one_time_code|Q: What code did you get? || It says {G-559023}.
one_time_code|Q: Did you receive the text? || Yes, just now. || Q: What are the numbers? || {Three eight}, {nine oh}, {one six}.
one_time_code|Q: Last thing, the security code. || Oh, um, {two zero}, I can't really see it, {eight}.
one_time_code|the one time passcode is {six six four one two nine}
one_time_code|Q: Could you tell me the PIN on your utility account, please? || Is it {4040}? || Q: No, that's not it. || Try {1127}.
one_time_code|Expiration is oh nine twenty-six, and the CVC is {five one eight}.
one_time_code|Q: I've sent a code to the mobile number we've got. || Right, it's {double four}, {seven one}, {nine three}.
one_time_code|Q: So that was {274661}? || Yes, that's the code I got.
one_time_code|Hang on, it's asking for the authentication code. Is that the {019 375} I just got?
one_time_code|Q: And what's the verbal PIN we set up last time? || {Nine}, {three}, {three}, {one}.
one_time_code|Q: Read me the verification code when you get it. || Okay. Still waiting. Oh, there it is. {Eight one zero five}.
one_time_code|Q: The first code expired, so I'm sending another. || Okay, got it, the new one is {660 284}.
one_time_code|Q: The three-digit code, please? || {Nine one four}. || Q: {914}, thank you. I'm processing that now.
-|Hi, I'm calling about order number 7741-20983. It was supposed to be here Tuesday.
-|Q: Your current balance is $214.76, and it's due on March 3rd. || Okay, I can pay it on Friday the 28th.
-|I bought two of the twelve-packs at $7.99 each, and they charged me for three.
-|my meter reading is four eight one one seven and last month it was four seven nine oh two
-|Q: We can have a technician out between 8 a.m. and noon. || Can it be after one thirty?
-|The tracking number is 1Z 999 AA1 01 2345 6784, and it's been stuck in Memphis for four days.
-|Q: What's the service address? || 1847 North Maple Street, Apartment 302, Columbus, Ohio 43215.
-|It's the fifty-five inch, model UN55TU7000, and it won't turn on.
-|Q: You'll want extension 4417, that's the loan department. || Extension 4417, okay.
-|I've been a customer for thirty-two years, and I've never been late once.
-|Q: Our rate right now is 6.875 percent on a thirty-year fixed. || And what about the fifteen?
-|the thermostat was set at seventy two and the bill went from one forty to three hundred and ten
-|I was at the store on 5th Avenue at about ten after four, and the line was out the door.
-|Q: Your reference number for today's call is 60028814. || Let me grab a pen. Six double oh two, double eight, one four.
-|Q: And when does the card expire? || Oh eight, twenty-seven.
-|My credit score was 742 in January, and now it's 698. What happened?
-|The item number is 300-118-45, it's on page 26 of the catalog.
-|Q: That's a dot, then a dash? || No, I'm just talking about the dot on the map for the outage.
-|I'm looking at the app, version 14.2.1, and it keeps crashing at the login screen.
-|Q: We close at nine Monday through Saturday, and six on Sunday. || So nine to nine, and then eleven to six?
-|I used 1,284 kilowatt hours in July. Last July it was 960.
-|Q: Can you spell your last name for me? || Sure. D as in David, E, L, G as in George, A, D, O.
-|I have a coupon for twenty percent off fifty dollars or more, and the code is SAVE20.
-|Q: Okay, your ticket number is INC0048213. || Is that zero zero, or is it letter O?
-|My flight's United 1583 on the 14th, so I need the travel notice on my account by then.
-|so i had three hundred in there and then i took out eighty and then forty and it says one twelve
-|Q: How many people are in the household? || Five. Two adults and three kids, four, seven, and nine.
-|The check was number 1042, for $1,150, and it cleared twice.
-|Q: The transfer takes three to five business days. || So by the 19th at the latest?
-|I'm at work right now, at Dot's Diner, so I might have to put you on hold.
-|Q: What size were the shoes? || Nine and a half. They sent a ten, then an eleven.
-|It's been on hold for forty-five minutes, and I've been transferred four times.
-|Q: What's the zip code on the billing? || Seven eight seven oh four.
-|It's dryer part number WE4M, dash, 527, and they said it's on backorder till 2026.
-|The postcode is SW1A 2AA, and it's flat number 6.
-|My mortgage is $1,846.22 a month, and escrow went up to $412.
-|Q: Press one for billing, two for outages, or three to repeat this message.
-|Q: Can I confirm the order date? || It was October 12th, 2024, at three oh five in the afternoon.
-|they told me the deposit was two hundred and then they said two fifty and now its three twenty five
-|I need four of the AA and six of the nine-volt, and how much is that with the six and a half percent tax?
-|Q: Your case has been escalated to tier two, case number four four one oh nine six. || Four four one oh nine six, alright.
-|Go to our website at homeandhearth dot com, slash returns, and click the blue dot.
-|Q: How would you rate your service today, from one to ten? || I'd give you a ten, but the other guy a two.
-|It was a nineteen eighty-four furnace, so I guess forty years isn't bad.
-|The invoice says net 30, invoice number 2024-0917, total $3,482.10.
-|Q: What's the PIN pad saying? || It says card reader error, code E47.
-|Q: Do you have your card ready? || I left it in the car. Can I call back in, like, twenty minutes?
-|Q: I just need the last four of your social. || I'm not giving that over the phone, I've been scammed before.
-|We opened that account in 1998, I think it was May, when the branch was still at Third and Main.
-|Q: You have 12,450 points, and that's worth $124.50. || Can I use just 5,000 of them?
-|The pipe's three quarters of an inch, and we need about twenty-two feet, two and a half pounds pressure on the gas.
-|Q: I'm showing the outage started at 2:47 a.m., and it's affecting 1,306 customers. || When's it coming back on?
-|um store number two two six eight register four and the transaction on the receipt is oh oh five nine one
-|Q: Your claim is at step three of five. || I've been at step three since November 8th.
-|It's twenty-three degrees outside, and I've got a six-month-old in here with no heat.
-|Q: I can offer you 24 months at zero percent, or 48 at 5.9. || What would it be a month on 1,800?
-|The serial number on the washer is F as in Frank, seven three, one one oh, four four, two nine.
-|Q: The phone number on file, is it still good? || Yeah, same one I've had since 2011.
-|Page 3 of 7, line 14, it says late fee, $35, and I paid it on the 1st.
-|I drove a hundred and ten miles to that store, and it was closed at eight forty-five on a Saturday.
-|It's claim number 2025-0417-88213, and they billed me $1,284.60 for an MRI.
-|my member id is w two two oh four seven nine one eight and the group number is six six oh one
-|Q: What's the flight number? || Delta 1482, leaving Atlanta at 6:55 and landing at 9:20.
-|the router says one nine two dot one six eight dot one dot one but nothing loads when i go there
-|Blood pressure was 128 over 82, and my A1C came back at 7.2, down from 8.1.
-|Q: whats the ticket number from last time || i n c zero zero four eight two one three
-|I'm on version 14.2.1, build 23C71, and it's been crashing since Tuesday.
-|its a thirty day supply of metformin five hundred milligrams twice a day and i have four left
-|Q: Which extension did they give you? || Extension 4417, but nobody ever picks up.
-|we landed at like two forty five and the connection was at three ten so we had no shot
-|Prescription number's 7 7 2 4 1 0 9, with two refills left, I believe.
-|Q: can i take your postcode please || yeah its s w nineteen four r t flat twelve b
-|My deductible is three thousand, and I've met, what, two thousand four hundred and eleven of it.
-|Q: what does the error say || it says zero x eight zero zero seven zero zero zero five access denied
-|Reference is H as in hotel, K, seven, P, nine, two. That's the airline booking.
-|the appointment was for january fourteenth at ten fifteen and they moved it to the twenty second
-|Q: When did the accident happen? || It was August 3rd, 2024, around 5:30 in the evening, on I-95 at exit 42.
-|i was on hold for an hour and forty five minutes and then it dropped at the end
-|The speed test shows 38 down and 4.6 up, and I'm paying for 500.
-|Q: how many of you are travelling || two adults three kids ages four nine and eleven and one infant
-|I live at 2217 West Belmont, apartment 3, Chicago, 60618.
-|so the bill went from eighty nine ninety nine to one twelve forty and nobody told me why
-|Q: What's the service tag on the laptop? || 5, C, X, 9, Q, R, 2. It's a little sticker underneath.
-|i went to your website careplus dot com slash claims and it just spins at the sign in page
-|CPT code 99214, and the diagnosis was E11.9.
-|Q: whats the policy number || it starts with h o dash four four one seven seven three oh two dash one
-|We're in row 22, seats D, E and F, and the bags are 23 kilos each.
-|the tracking number is one z nine nine nine a a one oh one two three four five six seven eight four its ups
-|Q: On a scale of zero to ten, how bad is the pain? || I'd say a six, maybe a seven at night.
-|my temps been a hundred and one point four since yesterday and she was ninety nine even
-|It's a 2019 Honda CR-V with about 64,000 miles on it.
-|Q: which lights are on the modem || one two and four are green three is blinking orange and the dot at the bottom is red
-|I've been a customer for, gosh, seventeen years, since 2008.
-|the part number on the adapter is a d l dash one oh three eight rev c
-|Q: How long was the outage? || From about nine to quarter past one, so four hours and change.
-|right so the excess is two hundred and fifty quid and the boiler cover is nineteen ninety a month
-|Okay, so my train got into Paddington at 14:32, and the coach to Heathrow went at 14:50. I missed it by a whisker.
-|Q: and when does the contract end || eighteenth of september twenty twenty six so ive got about eleven months left
-|You charged me £46.20 in May and £61.75 in June. What's changed?
-|im at one oh four harbour road second floor its the blue door not the red one
-|Q: Your case is 00918842. It usually takes three to five business days. || Three to five. Okay.
-|theres like fifteen hundred unread messages and the mailbox limit is two gigs or two point five i forget
-|The NPI for the provider is 1457398261, and the place of service is 11.
-|press one for english two for spanish i pressed zero like nine times
-|Q: Could I have the vehicle registration? || Sure, it's L M 6 8, X Y Z. Grey Vauxhall Astra.
-|my wifes glasses are minus two point two five in the left and minus one seventy five in the right
-|Room 614, checking in on the 9th and out on the 13th, so four nights at $189.
-|Q: what operating system || windows eleven twenty three h two on a dell latitude fifty four twenty
-|The plan covers 80 percent after the deductible, and the out-of-pocket max is 6,500.
-|the parcel reference is j d double oh two one four six and it was meant to come between twelve and two
-|Q: When's the surgery? || It's set for November 12th at 7 a.m., and I can't eat after midnight.
-|i take one at breakfast two at lunch and a half at bedtime so three and a half a day
-|It's the dot-com site, not the app. I'm looking at it right now, and the little dot next to my name is gray.
-|Q: whats the imei on the phone || okay its three five two oh nine nine oh oh one seven six one four eight one
-|I've 42 gig left out of 60, and it renews on the 21st of every month.
-|order nine nine four one six two was the headset and order nine nine four one seven oh was the dock
-|Q: What did the scan cost? || They quoted four fifty to six hundred, and then I got billed nineteen hundred.
-|Q: which gate are you at || b as in bravo thirty seven they said boarding starts at six oh five
-|My GP's at the Elm Street surgery, number 48, and they're only open 8:30 till 12 on Wednesdays.
-|it was fifty fifty whether id call at all but my score on the survey was a two out of ten so here i am
-|Q: Do you have your order number? || Yes, it's 114-7728.
-|I paid three hundred and forty-nine dollars for it back in March.
-|Q: How long has the internet been down? || Since about 6:30 this morning, so nearly four hours.
-|The tracking number is 1Z 84F 390 03 7714 2280.
-|my flight is BA 287 and it leaves at ten past four
-|Q: What's your zip code? || It's 30309.
-|I live at 1482 Maple Grove Road, apartment 6B.
-|Q: Your claim number is CLM 2290417, if you'd like to write that down. || Okay, thanks.
-|Can I have two of the large and four of the medium, please?
-|Q: Your balance is $1,284.56, due on the 15th. || Okay, that's higher than last month.
-|It's set to seventy-two degrees, but it says eighty-one in here.
-|Q: What's the postcode there? || M20 4BT.
-|The boiler's a Worcester 4000, it's about six years old.
-|Q: The part number is 88-4120-C, and they're $19.99 each. || I'll take three.
-|We got a 15% discount last year, and this year you've put it up by 22%.
-|Q: Let me put you through to extension 4417. || Thank you.
-|i'm at the store on fifth and main and nobody can help me
-|Q: The technician will be there between eight and twelve on Thursday. || Can it be after two?
-|My booking reference is X7KQ2P.
-|Q: What version of the app are you on? || It says 14.2.1.
-|I've called four times in the last two weeks, and I've been on hold for fifty-five minutes.
-|Q: Is there a serial number on the back of the router? || Yes, it's S N 4 4 0 8 1 7 B.
-|We've been customers since 1998, you know.
-|Q: What's the mileage on the car? || About sixty-three thousand four hundred.
-|Just go to our website and look under help, it's at the bottom, there's a little dot next to it.
-|Q: Your confirmation number is 7 7 3 1 0 9 4. || Got it, thanks.
-|The meter reading is zero four eight one nine.
-|Q: Which gas meter is that, the one with the five digits? || Yeah, it's 27316.
-|It was three fifty a month and now it's four twenty-five.
-|Q: We close at 5 PM Eastern. || Oh, it's 4:50 now.
-|I need a size nine and a half, the style number's 30218.
-|Q: The ticket number for this call is INC0048213. || Alright, let me write it down.
-|We're two adults and three kids, staying from the fourth to the eleventh of August.
-|Q: And how tall are you? || Five foot eight, and a hundred and sixty pounds.
-|My policy number is HP 6620 1187.
-|Q: That's a 24 month contract at £32 a month. || And what's it after that?
-|i'm getting like twelve megs down and it's supposed to be three hundred
-|Q: It arrived on November 3rd, is that correct? || No, it was the fifth.
-|I don't have a computer, so I can't do it by email.
-|Q: What's the model number? || It's WF45 T6000 AW.
-|The invoice is number 20418 and it's dated the thirtieth of September.
-|Q: Can you give me your address? || Yeah, 27 Station Road, Harrogate, HG1 5LT.
-|Okay, unplug it, count to thirty, and plug it back in.
-|Q: Please never share your PIN with anyone, not even us. || No, I know.
-|I ordered the 500 milligram ones and I got the 250s.
-|Q: Your appointment is Tuesday the 12th at 9:15. || Perfect.
-|He scored 720, so he should qualify for the better rate, shouldn't he?
-|Q: I'm showing four payments of $62.50. || Yeah, and I've made three of those.
-|The train was the 7:42 from Leeds and it was 90 minutes late.
-|Q: And what's the expiration date on that? || Zero four, twenty-seven.
-|It's flight number 1162 out of Denver, gate B38.
-|Q: It'll take three to five business days. || You said that ten days ago.
-|my reference is R E F, seven seven two, dash, four one one
-|Q: What's your rate now? || It's 6.875 on a thirty year fixed.
-|I want to return it, order six six oh nine two one five, it's the wrong color.
-|Q: What's your license plate? || It's LD19 KXW.
-|The error says 0x80070057 every time I try to update.
-|Q: How many employees do you have? || About a hundred and twenty, across three sites.
-|My date of birth is on the form already, I sent that in last week.
-|Q: You'll get a text with a code in a minute. || Okay, nothing yet.
-|Turn left at exit 14, go about two miles, and we're at the second light.
-|Q: So that's one king room for three nights at $189 a night. || And is breakfast included?
-|I never got the email, I checked spam and everything.
-|Q: Press 1 for billing or 2 for technical support. || Billing.
-|It's the 2019 Honda Civic, the LX, with the two liter engine.
-|Q: What's the square footage? || Around eighteen hundred, three bed, two bath.
-|You charged me $35 twice, once on the 2nd and again on the 6th.
-|Q: And when would you like it to start? || The first of next month would be fine.
-|okay so channel 206 is working but 212 and 215 are just black
-|Q: The loan would be twelve thousand over sixty months. || So what's that per month, about two thirty?
-|We're in suite 1100 on the eleventh floor.
-|Q: Your case number is 0 0 4 8 1 7 7 2. || 0 0 4 8 1 7 7 2, okay.
-|It's item 443 in the catalogue, page 61.
-|Q: What's the prescription number on the bottle? || RX 6613 027.
-|I was driving about thirty-five and he pulled right out.
-|Q: Could I have your card number, please? || I don't have it on me, can I call back?
-|The parcel weighs 4.6 kilos and it's sixty by forty by thirty.
-|Q: You have 18,450 points available. || Can I use ten thousand of those?
-|Sorry, my dog's barking. What did you say, 20 or 30 pounds?
-|Q: Do you know your account username? || I think it's just my name.
-|There were six in the box and two were cracked.
-|Q: It's gone up to £1,142 for the year. || That's ridiculous, it was 780.
-|I left it in room 418 when I checked out on Sunday.
-|Q: Let me check the SKU. Is it 7721904? || Yes, that's what it says on the tag.
-|My kids are nine, eleven and fourteen.
-|Q: What's the wattage on the old one? || Sixty, I believe. Or forty.
-|I was on with somebody named Jared for an hour and twenty minutes and then it cut off.
-|Q: Your deductible is $500 for collision and $250 for comprehensive. || Okay.
-|It's eleven ninety-nine for the first six months, isn't it?
-|Q: Okay, and the quote number, please? || Q 5 1 8 0 0 2 6.
-|i need to move my delivery from the 20th to the 23rd
-|Q: What was your last reading? || Forty-one thousand two hundred and six.
-|The lights go green, green, and then the third one's red.
-|Q: We have you down for 2:45 with Dr. Mehta. || Could I do 3:30 instead?
-|My member number is 809 221, I'm a gold member.
-|Q: Is there anything else I can help you with today? || No, that's it. Thanks, you've been great.
-|They told me 48 hours, then 72, and now it's been a week.
-|Q: Your purchase order is 4500 1187 26, right? || Yes, and it's for forty units.
-|It's a 65 inch TV, the model's QN65 something.
-|Q: Which branch is nearest to you? || The one at 210 Western Avenue, by the bank.
-|Q: Do you have the order number? || Yeah, it's four four seven one, eight two nine.
-|My bill went from sixty-five dollars to ninety-two fifty and nobody told me.
-|Q: Your claim number is two zero two five, zero three one eight, seven seven four. || Okay, let me write that down.
-|I've been on hold for forty-five minutes.
-|Q: The tracking number is 1Z 884 E07 39 1162 4480. || Great, thanks.
-|the store's at twenty two fourteen west elm street || next to the gas station
-|Q: What's the expiration date? || Oh eight, twenty-seven.
-|We moved here in two thousand nine and have had the same plan ever since.
-|Q: So the deductible is five hundred, and collision is one thousand. || And what's it come to a month? || Q: One eighteen sixty-two.
-|My zip code is four three two one five.
-|Q: Which model is the phone? || It's the iPhone fifteen, the one with two hundred fifty-six gigs.
-|The confirmation number they gave me was K seven R two Q nine.
-|Q: You're at extension four four oh two if I need to call back? || Yes, extension forty-four oh two.
-|I'm at work right now, can we do this at three thirty?
-|Q: The technician can be there between eight and twelve on Thursday the fourteenth. || Thursday works.
-|so the rate was six point nine nine percent || and now it's eight point two five
-|Q: I see three transactions, twelve forty-nine, eighty-seven dollars, and two hundred six. || I only made the first two.
-|The policy number is H O dash seven seven three one zero four six.
-|Q: What year is the vehicle? || Twenty nineteen Honda CR-V, about sixty-two thousand miles on it.
-|I bought two of the size tens and one size eleven, and they shipped three elevens.
-|Q: Your ticket number for this outage is three three zero, nine one eight, two. || Three three zero nine one eight two. Okay.
-|I just went to your website, acme dot com slash support, and it didn't load.
-|My flight's Delta fourteen twenty-two, and I need roaming on before I board.
-|Q: It'll take seven to ten business days. || You said three to five last time.
-|my score dropped from seven forty to six eighty five in one month
-|Q: Apartment number? || Three oh four, building B.
-|The router has version two dot four dot one, and the light's been red since five a.m.
-|Q: How many lines do you have? || Four, well, five with the tablet.
-|I paid one hundred and twenty on the first and another one hundred and twenty on the fifteenth.
-|Q: The part number is W P eight five four four seven seven one. || And that fits a Whirlpool dryer?
-|Q: Let me place you on a brief hold, two to three minutes. || Okay.
-|The accident happened on June twelfth, around four fifteen in the afternoon, at Fifth and Main.
-|Q: Your reference number is eight eight four, two one six, zero nine. || Eight eight four... || two one six || zero nine. Got it.
-|Does the warranty go for twelve months or twenty-four?
-|Q: The balance as of today is one thousand, three hundred forty-two dollars and eighteen cents. || Wow.
-|i need item number five five one two oh eight in blue
-|Q: We're open nine to nine Monday through Saturday and ten to six on Sunday. || Perfect.
-|I've called four times, talked to six people, and got five different answers.
-|Q: So your internet speed should be three hundred down and twenty up. || I'm getting about forty.
-|The coupon code was S A V E twenty, and it took off nothing.
-|Q: What's the address on the account? || Nine hundred Oakridge Drive, Suite two ten, Plano, Texas, seven five oh two four.
-|My hotel was three nights at one fifty-nine, so four seventy-seven plus tax.
-|Q: And the check number? || One zero four seven.
-|We have one car, two drivers, and three tickets between us.
-|Q: The late fee is thirty-five dollars after the twentieth. || I paid it on the nineteenth.
-|it keeps giving me error four oh four and then error five hundred
-|Q: On a scale of one to ten, how would you rate today's call? || I'd give you a ten.
-|The thermostat says seventy-eight, and I have it set at sixty-eight.
-|Q: Your case ID is C A S zero zero nine one four seven three. || Okay, thanks, bye.
-|I'm looking at page two, line fourteen, where it says other charges, eleven dollars and six cents.
-|Q: The limit on that card is five thousand and your minimum payment's thirty-five. || Okay.
-|My invoice is INV-2025-00418, dated March 3rd.
-|Q: Is it the fifty-five inch or the sixty-five inch? || Sixty-five.
-|I'm seventy-three years old and I've been a customer for thirty-one of them.
-|Q: The VIN ends in what? || I don't know, I'm not near the car.
-|Q: Okay, press one for billing, two for technical support. || I pressed two twice.
-|it was at Target, not at Walmart, on the corner of Ninth and Grant
-|Q: The refund of two hundred nineteen ninety-nine was issued on the fourth. || I don't see it.
-|I get a hundred dollars off if I trade in the old one, and it's twenty-five a month for thirty-six months?
-|Q: Your appointment is January sixth at ten fifteen. || Ten fifty? || Q: Ten fifteen.
-|They quoted me a term of fifteen years at five and three-quarters.
-|Q: The SKU on the box? || Uh, oh seven one, four four, nine.
-|Dot, my wife, she's at the branch on Third Street already.
-|Q: I won't ask for your full card number. || Good, because I don't have it with me.
-|The flight was at six twenty and we landed at nine oh five.
-|Q: You've got eight gigabytes left and twelve days in the cycle. || So why did you slow me down?
-|I ordered twelve cases, and nine came, so three are missing.
-|Q: What's the serial number on the modem? || S N, four K, seven seven two, J, zero one eight three.
-|Do I need to give you my social? || Q: No, not for this.
-|Q: Your coverage is one hundred, three hundred, one hundred. || Meaning a hundred thousand per person?
-|the meter read four eight two two six last month and four eight nine one one now
-|I never received the code. || Q: Okay, I'll resend it, give it thirty seconds.
-|I was in channel seven, then I went to two fifteen, and it's all frozen.
-|Q: The transaction posted April ninth, at one forty-two p.m., for sixty-four dollars. || That wasn't me.
-|About two and a half weeks ago, maybe three.
-|Q: Your place in line is number seventeen. || Seventeen? || Q: Yes, about twenty minutes.
-|We got hit by hail, like an inch and a half, and it's a two thousand square foot roof.
-|Q: And your store number? || Store number one one eight six, in Tulsa.
-|My plan's Unlimited Plus, version three, forty-five a line with four lines.
-|Q: What's the best time to call? || After five, or before nine in the morning.
-|Q: What's your order number? || It's 4471-20983.
-|My appointment is Tuesday at 10:45, and I need to move it to Thursday.
-|Q: Your total today comes to $186.42. || Okay, that's what I expected.
-|I'm on flight 1428 from Denver to Phoenix, leaving at six fifteen a.m.
-|Q: Your tracking number is 1Z 884 E03 91 2207 5531. || Thank you, let me write that down.
-|my address is four eleven west maple street apartment two b
-|Q: What's the ZIP code there? || 60614.
-|The bill went from eighty-five dollars to a hundred and forty in one month.
-|Q: Your estimated wait time is about 12 to 15 minutes. || Oh, that's not bad.
-|I've been a customer for 22 years and I've never had this happen.
-|Q: Your confirmation number is H, seven, Q, two, L, nine. || H7Q2L9. Got it.
-|we have about three hundred and twelve kilowatt hours on the last statement
-|Q: The doctor prescribed 20 milligrams, twice a day, for ten days. || Right, and I have two refills left.
-|Just dial extension 4402 when you get the menu.
-|Q: Which plan are you on? || The family one, $14.99 a month, up to six screens.
-|My postcode is LS6 2QB, house number 18.
-|Q: That invoice was issued on March 3rd and due April 2nd. || I paid it on March 28th.
-|The meter reads zero four eight eight two.
-|Q: You'd be in seats 14A and 14B. || Can we get an aisle instead?
-|it's been ninety eight degrees all week and my ac has been out since monday
-|Q: Your case number is 20250318-774. || And how long until someone gets back to me?
-|I think I'm on version 17.4.1 of the app.
-|Q: You have 45,200 points, and the upgrade costs 30,000. || Let's do it.
-|The model number on the back is WRX735SDHZ.
-|Q: Is it two adults and three kids? || Yes, the kids are four, seven, and eleven.
-|Form 1095-A, is that the one I need for my taxes?
-|Q: There's a $35 late fee, but I can waive that once every twelve months. || I'd appreciate that.
-|my deductible is fifteen hundred and i've met about nine hundred of it
-|Q: We're open Monday through Friday, eight to five, and Saturday from nine to one. || Okay, I'll come Saturday.
-|The case number from last time was eight eight zero four two one seven.
-|Q: Your check-in is the 12th and check-out is the 16th, so four nights. || Yes, that's right.
-|I waited on hold for forty-five minutes yesterday and then it hung up on me.
-|Q: On a scale of one to ten, how would you rate your pain? || I'd say a six, maybe a seven.
-|I'm looking at the website and it gives me error 503.
-|Q: We can offer you 20% off for the next three months. || And then what, it goes back up to $59?
-|He'll be there between one and five p.m., right?
-|Q: What's your confirmation code? || It's K as in kilo, R, 4, 8, T, Z.
-|the claim was for two thousand three hundred and eighteen dollars and they only paid eleven hundred
-|Q: Your policy number, please? || HMO 559 2071.
-|I don't have an email, I don't do computers. || Q: That's no problem, I'll mail it to you.
-|Q: Can I have your first and last name? || It's Jenny Kowalski, K-O-W-A-L-S-K-I.
-|Her blood pressure was 142 over 88 this morning.
-|Q: The passport fee is $130 plus a $35 acceptance fee. || So a hundred sixty-five all together.
-|I'm at the corner of Fifth and Main, and the whole block has no power.
-|Q: The outage is affecting 1,240 customers in your area. || Do you know when it'll be back on?
-|We ordered three of the size 8 and got two of the size 10.
-|Q: For your protection I won't need your full card number today. || Good, because I don't have it with me.
-|my train was the 7:52 from Leeds and it was forty minutes late
-|Q: The train ticket was £38.50 with the railcard. || That's not what I was quoted.
-|The router has four lights and the third one is blinking.
-|Q: Do you mind if I put you on hold for two to three minutes? || Go ahead.
-|I got a letter dated June 6th that says I have 30 days to appeal.
-|Q: Your bag is fifty-four pounds, so it's four over. || How much is that, a hundred bucks?
-|So I need the MRI at the clinic on Route 9, suite 310.
-|Q: What's the license plate on the vehicle? || Seven, Baker, Tom, Victor, four four nine.
-|it's gate b 22 and boarding starts at 3:10
-|Q: The interest rate is 6.75% for 72 months. || That's too high.
-|I think my card expires in August of 2026, so I should be fine.
-|Q: Your subscription renews on the fifteenth of each month. || And I can cancel any time before that?
-|Council tax band C, that's one thousand seven hundred and forty for the year.
-|Q: Our new patient wait is about six weeks right now. || Six weeks? Wow.
-|I moved from unit 12 to unit 27 in the same building back in 2019.
-|Q: What's the serial number? || S N, zero zero seven, C, eight eight one, F, four.
-|there were two charges of nine ninety nine and one for four ninety nine
-|Q: Which channel are you having trouble with? || 206, and then everything in the 500s.
-|Q: I'll send a reset link to the email we have on file. || Okay, I'm at my computer now.
-|The prescription number is 7 7 1 4 5 3 2, for the blood pressure one.
-|Q: So that's window number six, and your ticket is B-118. || Got it, thanks.
-|I talked to someone named Marcus at around two thirty, I think on the ninth.
-|Q: It takes 7 to 10 business days for the refund to post. || The last person told me three to five.
-|The dot on the map is at the wrong house, we're two doors down.
-|Q: Your household income is listed as $48,600 for a family of four. || That's from last year.
-|Section 8 housing, I've been on the waitlist since 2021.
-|Q: The rental is a midsize, $52 a day, for five days. || So two hundred sixty plus tax.
-|i called the one eight hundred number on the back of the card and they sent me to you
-|Q: Could I have your reference number? || Yes, it's RF/2208/61945.
-|We're using like four thousand gallons a month and there's only two of us.
-|Q: I'm showing three missed deliveries, on the 4th, the 6th, and the 9th. || I was home on all three.
-|Q: Did you set up a PIN for the account? || No, I never did.
-|My internet's supposed to be 300 megabits, and I'm only getting about 25.
"""

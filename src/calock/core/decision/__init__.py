"""The whole decision about a certificate or an answer: the steps in their order, and what is kept between decisions."""
